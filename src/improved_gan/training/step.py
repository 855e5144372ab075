"""One training step: the discriminator moves, then the generator. It knows no technique."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from improved_gan.models.interface import Discriminator, Generator, frozen
from improved_gan.training.objectives import Objective, Terms, TrainingBatch

__all__ = ["Optimizers", "train_step"]


@dataclass(frozen=True)
class Optimizers:
    """One optimiser a player."""

    discriminator: torch.optim.Optimizer
    generator: torch.optim.Optimizer


def train_step(
    generator: Generator,
    discriminator: Discriminator,
    objective: Objective,
    batch: TrainingBatch,
    optimizers: Optimizers,
    *,
    precision: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Move both players once.

    Args:
        generator: in training mode.
        discriminator: in training mode.
        objective: gives each player's terms.
        batch: the images of this step.
        optimizers: one a player.
        precision: float32, or bfloat16 for autocast in the forward passes (parameters and losses stay float32).

    Returns:
        Every term and monitor by name (`discriminator/supervised`, ...), detached scalars.
    """
    autocast = partial(_autocast, batch.unlabelled_images.device, precision)
    with generator.fixed_weights():  # it moves at the end of the step
        with autocast():
            discriminator_terms = objective.discriminator_terms(generator, discriminator, batch)
        _minimise(optimizers.discriminator, discriminator_terms)
        with frozen(discriminator), autocast():
            generator_terms = objective.generator_terms(generator, discriminator, batch)
    _minimise(optimizers.generator, generator_terms)
    return {**_named("discriminator", discriminator_terms), **_named("generator", generator_terms)}


def _minimise(optimizer: torch.optim.Optimizer, terms: Terms) -> None:
    if not terms.losses:
        return
    optimizer.zero_grad()
    torch.stack(list(terms.losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def _named(player: str, terms: Terms) -> dict[str, Tensor]:
    return {f"{player}/{name}": value.detach() for name, value in {**terms.losses, **terms.monitors}.items()}

"""One training step: the discriminator moves, then the generator. It knows no technique.

Over several ranks each has its rows of the batch; gradients are averaged once a player and turn (`distributed`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from improved_gan.distributed import average_gradients, mean_over_ranks, world_size
from improved_gan.networks.interface import Discriminator, Generator, frozen
from improved_gan.training.microbatch import wrap_networks
from improved_gan.training.objectives import Objective, Terms, TrainingBatch

__all__ = ["Optimizers", "autocast", "train_step"]


@dataclass(frozen=True)
class Optimizers:
    """One optimizer a player."""

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
    generator_steps: int = 1,
    micro_batch: int = 0,
) -> dict[str, Tensor]:
    """Move the discriminator once and the generator `generator_steps` times.

    Args:
        generator: in training mode.
        discriminator: in training mode.
        objective: gives each player's terms.
        batch: the images of this step; over several ranks this rank's rows of them.
        optimizers: one a player.
        precision: float32, or bfloat16 for autocast in the forward passes (parameters and losses stay float32).
        generator_steps: turns of the generator, each with new latents.
        micro_batch: the most rows that a network holds at a time, see `training.microbatch`; 0 for all.

    Returns:
        Every term and monitor by name (`discriminator/supervised`, ...), detached scalars: the generator's are means
        over its turns, and over several ranks all are those of the global batch.
    """
    cast = partial(autocast, batch.unlabeled_images.device, precision)
    generator, discriminator = wrap_networks(generator, discriminator, micro_batch)

    def generator_turn() -> Terms:
        with frozen(discriminator):
            with cast():
                terms = objective.generator_terms(generator, discriminator, batch)
            _backward(optimizers.generator, terms)
        return terms

    with generator.cache_weights():  # it moves at the end of the step
        with cast():
            discriminator_terms = objective.discriminator_terms(generator, discriminator, batch)
        _backward(optimizers.discriminator, discriminator_terms)
        discriminator.invalidate_weight_cache()  # first, so that an interrupted move leaves none behind
        _move(optimizers.discriminator, discriminator_terms)
        turns = [generator_turn()]
    _move(optimizers.generator, turns[0])
    for _ in range(generator_steps - 1):
        with generator.cache_weights():
            turns.append(generator_turn())
        _move(optimizers.generator, turns[-1])
    return _over_ranks({**_named("discriminator", [discriminator_terms]), **_named("generator", turns)})


def _backward(optimizer: torch.optim.Optimizer, terms: Terms) -> None:
    if terms.losses:
        optimizer.zero_grad()
        torch.stack(list(terms.losses.values())).sum().backward()  # type: ignore[no-untyped-call]


def _move(optimizer: torch.optim.Optimizer, terms: Terms) -> None:
    """One step along the gradient of the global batch; without losses a player rests."""
    if terms.losses:
        average_gradients(parameter for group in optimizer.param_groups for parameter in group["params"])
        optimizer.step()


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """The context of the forward passes of a step."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def _named(player: str, turns: Sequence[Terms]) -> dict[str, Tensor]:
    """Terms and monitors, each the mean over the player's turns."""
    values = [{**terms.losses, **terms.monitors} for terms in turns]
    if len(values) == 1:
        return {f"{player}/{name}": value.detach() for name, value in values[0].items()}
    return {f"{player}/{name}": torch.stack([turn[name].detach() for turn in values]).mean() for name in values[0]}


def _over_ranks(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each term is a mean over a rank's own rows, or equal on all ranks: so its mean over ranks is the global one."""
    if world_size() == 1 or not terms:
        return terms
    means = mean_over_ranks(torch.stack([value.double() for value in terms.values()]))
    return dict(zip(terms, means.unbind(), strict=True))

"""One training step: an update of the discriminator, then of the generator. Techniques are in the objective.

An objective may ask for simultaneous updates instead (`Objective.simultaneous`): both gradients are taken before
either network changes.

Over several ranks each has its rows of the batch; gradients are averaged once per update (`distributed`).
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor

from improved_gan.distributed import average_gradients, mean_over_ranks, world_size
from improved_gan.networks.interface import Discriminator, Generator, frozen
from improved_gan.training.microbatch import wrap_networks
from improved_gan.training.objectives import Objective, Terms, TrainingBatch

__all__ = ["Optimizers", "autocast", "train_step"]


@dataclass(frozen=True)
class Optimizers:
    """One optimizer for each network; None for a generator that there is not."""

    discriminator: torch.optim.Optimizer
    generator: torch.optim.Optimizer | None


def train_step(
    generator: Generator | None,
    discriminator: Discriminator,
    objective: Objective,
    batch: TrainingBatch,
    optimizers: Optimizers,
    *,
    precision: torch.dtype = torch.float32,
    generator_updates: int = 1,
    micro_batch: int = 0,
) -> dict[str, Tensor]:
    """Update the discriminator once and the generator `generator_updates` times.

    Args:
        generator: in training mode; None if the objective trains no GAN (`Objective.needs_generator`).
        discriminator: in training mode.
        objective: returns each network's losses.
        batch: the images of this step; over several ranks this rank's rows of them.
        optimizers: one for each network.
        precision: float32, or bfloat16 for autocast in the forward passes (parameters and losses stay float32).
        generator_updates: generator updates per discriminator update, each with new latents.
        micro_batch: maximum number of rows in a forward pass, see `training.microbatch`; 0 for all.

    Returns:
        Every term and monitor by name (`discriminator/supervised`, ...), detached scalars. The generator's are means
        over its updates, and over several ranks all are those of the global batch.

    Raises:
        ValueError: another precision, several generator updates if simultaneous, micro-batches of a D comparing rows.
    """
    autocast_ = partial(autocast, batch.unlabeled_images.device, precision)
    generator, discriminator = wrap_networks(generator, discriminator, micro_batch)
    # An objective that needs no generator does not look at it.
    trained, generator_updates = cast(Generator, generator), 0 if generator is None else generator_updates
    if objective.simultaneous:
        if generator_updates != 1:
            raise ValueError(f"simultaneous updates are one for each network; got {generator_updates=}")
        return _update_both(trained, discriminator, objective, batch, optimizers, autocast_())

    def generator_backward() -> Terms:
        with frozen(discriminator):
            with autocast_():
                terms = objective.generator_terms(trained, discriminator, batch)
            _backward(optimizers.generator, terms)
        return terms

    with _cached(generator):  # its parameters change at the end of the step only
        with autocast_():
            discriminator_terms = objective.discriminator_terms(trained, discriminator, batch)
        _backward(optimizers.discriminator, discriminator_terms)
        discriminator.invalidate_weight_cache()  # before the update: an interruption must leave no outdated weights
        _update(optimizers.discriminator, discriminator_terms)
        generator_terms = [generator_backward()] if generator_updates else []
    for terms in generator_terms:
        _update(optimizers.generator, terms)
    for _ in range(generator_updates - 1):
        with _cached(generator):
            generator_terms.append(generator_backward())
        _update(optimizers.generator, generator_terms[-1])
    return _over_ranks({**_named("discriminator", [discriminator_terms]), **_named("generator", generator_terms)})


def _update_both(
    generator: Generator,
    discriminator: Discriminator,
    objective: Objective,
    batch: TrainingBatch,
    optimizers: Optimizers,
    autocast_: torch.autocast,
) -> dict[str, Tensor]:
    """Each network's loss has gradients for its own parameters; no parameter changes before both are computed."""
    with _cached(generator), autocast_:
        both = objective.joint_terms(generator, discriminator, batch)
    pairs = [(one, terms) for one, terms in zip((optimizers.discriminator, optimizers.generator), both, strict=True)]
    for optimizer, terms in pairs:
        assert optimizer is not None
        optimizer.zero_grad()  # also of parameters that are frozen since an earlier step
        parameters = [one for one in _parameters(optimizer) if one.requires_grad]
        loss = torch.stack(list(terms.losses.values())).sum()
        gradients = torch.autograd.grad(loss, parameters, retain_graph=terms is both[0], allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
    discriminator.invalidate_weight_cache()  # before the update, as in `train_step`
    for optimizer, terms in pairs:
        _update(optimizer, terms)
    return _over_ranks({**_named("discriminator", both[:1]), **_named("generator", both[1:])})


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _cached(generator: Generator | None) -> AbstractContextManager[None]:
    return nullcontext() if generator is None else generator.cache_weights()


def _backward(optimizer: torch.optim.Optimizer | None, terms: Terms) -> None:
    if terms.losses and optimizer is not None:
        optimizer.zero_grad()
        torch.stack(list(terms.losses.values())).sum().backward()  # type: ignore[no-untyped-call]


def _update(optimizer: torch.optim.Optimizer | None, terms: Terms) -> None:
    """One optimizer step with the gradient of the global batch; none without losses."""
    if terms.losses and optimizer is not None:
        average_gradients(_parameters(optimizer))
        optimizer.step()


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """The context of the forward passes of a step.

    Raises:
        ValueError: a precision other than float32 and bfloat16: float16 would need a loss scaler.
    """
    if precision not in (torch.float32, torch.bfloat16):
        raise ValueError(f"precision must be torch.float32 or torch.bfloat16; got {precision}")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def _named(network: str, updates: Sequence[Terms]) -> dict[str, Tensor]:
    """Losses and monitors, each the mean over the network's updates of this step."""
    if not updates:
        return {}
    values = [{**terms.losses, **terms.monitors} for terms in updates]
    if len(values) == 1:
        return {f"{network}/{name}": value.detach() for name, value in values[0].items()}
    return {f"{network}/{name}": torch.stack([terms[name].detach() for terms in values]).mean() for name in values[0]}


def _over_ranks(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each term is a mean over the rank's rows, or equal on all ranks: its mean over ranks is the global one."""
    if world_size() == 1 or not terms:
        return terms
    means = mean_over_ranks(torch.stack([value.double() for value in terms.values()]))
    return dict(zip(terms, means.unbind(), strict=True))

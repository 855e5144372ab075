"""Several models of one recipe in one step: their numbers lie side by side, and the step is mapped over them.

A GPU is hardly busier with ten small networks than with one: most of its time goes to starting operations, and mapped
by `torch.func.vmap` each is started once for all. The models have nothing to do with each other: each has its own
weights, moments, averages, batches and noise, and the gradient of the summed losses is that of each model's own.

While a `VmappedTraining` lives, the states it was made of are views of its memory: they hold the newest weights at any
time, and `share_out` copies the rest of the state into them.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from improved_gan.distributed import world_size
from improved_gan.kernels.vmap_fallback import use_reference_ops
from improved_gan.techniques import MinibatchDiscrimination, ReferenceBatch
from improved_gan.training.loop import BatchSource
from improved_gan.training.objectives import Objective, SemiSupervised, SupervisedBaseline, TrainingBatch
from improved_gan.training.schedule import Schedule
from improved_gan.training.stacked_networks import StackedNetwork, TensorDict, common_ema, mappable
from improved_gan.training.state import TrainingState
from improved_gan.training.step import autocast

__all__ = ["VmappedTraining", "not_vmappable_reasons", "step_all", "vmap_incompatibility"]


def not_vmappable_reasons(
    networks: Sequence[nn.Module], objective: Objective, *, micro_batch: int, generator_has_ema: bool, historical: bool
) -> str:
    """In a few words, why a game cannot be mapped over models; empty where it can.

    Args:
        networks: both players.
        objective: the game.
        micro_batch: rows at a time; 0 for all.
        generator_has_ema: whether the generator's weights are averaged.
        historical: whether the players pay for leaving their past.
    """
    reasons = {
        "several processes share a batch": world_size() > 1,
        "the objective is not known to be mapped": type(objective) not in (SemiSupervised, SupervisedBaseline),
        "a few rows at a time": micro_batch > 0,
        "the generator's weights are averaged": generator_has_ema,
        "historical averaging": historical,
        "rows are compared in the network": any(map(_compares_rows, networks)),
    }
    return ", ".join(words for words, holds in reasons.items() if holds)


def vmap_incompatibility(states: Sequence[TrainingState], objective: Objective, schedule: Schedule) -> str:
    """In a few words, why these models cannot be trained together; empty where they can."""
    first = states[0]
    reason = not_vmappable_reasons(
        (first.generator, first.discriminator),
        objective,
        micro_batch=schedule.micro_batch,
        generator_has_ema=first.generator_ema is not None,
        historical=first.parameter_averages is not None,
    )
    kinds = {
        "they stand at different steps": len({_steps(state) for state in states}) > 1,
        "they are not of one kind": len({_shapes(state) for state in states}) > 1,
    }
    return ", ".join([reason] * bool(reason) + [words for words, holds in kinds.items() if holds])


class VmappedTraining:
    """Models that take their steps at the same time.

    Args:
        states: of the models, at the same step; they become views of this object's memory.
        objective: the game of each.
        schedule: precision and turns of the generator; rates are set by the caller.

    Raises:
        ValueError: models that have to be trained apart (`vmap_incompatibility`).
    """

    def __init__(self, states: Sequence[TrainingState], objective: Objective, schedule: Schedule) -> None:
        if reason := vmap_incompatibility(states, objective, schedule):
            raise ValueError(f"these models cannot be trained together: {reason}")
        self.states, self._schedule = list(states), schedule
        first = states[0]
        self._device = next(first.discriminator.parameters()).device
        self._turns = {kind: _Turn(first, objective, kind) for kind in ("discriminator", "generator")}
        self._discriminator = StackedNetwork("discriminator", [state.discriminator for state in states])
        self._generator = StackedNetwork("generator", [state.generator for state in states])
        self._discriminator.take_optimizers([state.optimizers.discriminator for state in states])
        self._generator.take_optimizers([state.optimizers.generator for state in states])
        self._average = common_ema([state.average for state in states], self._discriminator)
        self._totals: TensorDict = {}
        self._num_steps, self._seconds = 0, 0.0

    @property
    def step_number(self) -> int:
        """Steps that each model has made."""
        return self.states[0].step + self._num_steps

    def set_lr(self, rate: float) -> None:
        """The learning rate of the steps that follow, times each group's own factor."""
        for player in (self._discriminator, self._generator):
            for group in player.optimizer.param_groups:
                group["lr"] = rate * group.get("lr_scale", 1.0)

    def step(self, batches: Sequence[TrainingBatch]) -> None:
        """One step of every model, each with its batch; as `train_step` does it for one."""
        started = time.perf_counter()
        batch = {name: torch.stack(values) for name, values in _parts(batches).items()}
        terms = self._turn(self._discriminator, self._generator, batch)
        turns = [self._turn(self._generator, self._discriminator, batch) for _ in range(self._schedule.generator_steps)]
        terms |= {name: torch.stack([turn[name] for turn in turns]).mean(0) for name in turns[0]}
        self._average.update()
        for name, values in terms.items():
            self._totals[name] = self._totals[name] + values if name in self._totals else values.double()
        self._num_steps += 1
        self._seconds += time.perf_counter() - started

    def unstack(self) -> None:
        """Tell each state how far it has come, and its sums; of the time each has an equal share."""
        for index, state in enumerate(self.states):
            state.step += self._num_steps
            state.num_accumulated += self._num_steps
            state.seconds += self._seconds / len(self.states)
            for name, totals in self._totals.items():
                state.totals[name] = state.totals.get(name, 0.0) + totals[index]
            state.average.num_updates += self._num_steps
            for player, optimizer in (
                (self._discriminator, state.optimizers.discriminator),
                (self._generator, state.optimizers.generator),
            ):
                player.unstack(optimizer)
        self._totals, self._num_steps, self._seconds = {}, 0, 0.0

    def _turn(self, mover: "StackedNetwork", other: "StackedNetwork", batch: TensorDict) -> TensorDict:
        """One player moves; its terms by name, (E,) each."""
        turn = self._turns[mover.kind]
        parameters = mover.parameters | {name: value.detach() for name, value in other.parameters.items()}

        def of_one(parameters: TensorDict, buffers: TensorDict, batch: TensorDict) -> tuple[TensorDict, TensorDict]:
            result: tuple[TensorDict, TensorDict] = functional_call(turn, (parameters, buffers), (batch,))
            return result

        with use_reference_ops(), autocast(self._device, self._schedule.precision):
            losses, monitors = vmap(of_one, randomness="different")(parameters, mover.buffers | other.buffers, batch)
        if losses:
            mover.optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            mover.optimizer.step()
        return {f"{mover.kind}/{name}": value.detach() for name, value in (losses | monitors).items()}


def step_all(
    together: VmappedTraining, sources: Sequence[BatchSource], schedule: Schedule
) -> Iterator[tuple[int, tuple[TrainingBatch, ...]]]:
    """Move all models step by step to the last epoch; yields after each step its epoch, counted from 0, and batches."""
    steps_per_epoch = sources[0].steps_per_epoch
    for epoch in range(together.step_number // steps_per_epoch, schedule.epochs):
        together.set_lr(schedule.rate(epoch))
        first_step = together.step_number % steps_per_epoch
        for batches in zip(*(source.epoch(epoch, first_step=first_step) for source in sources), strict=True):
            together.step(batches)
            yield epoch, batches


class _Batch(NamedTuple):
    """One model's part of the stacked batches."""

    labeled_images: Tensor
    labels: Tensor
    unlabeled_images: Tensor
    matching_images: Tensor
    pseudo_labeled_images: Tensor | None = None
    pseudo_labels: Tensor | None = None
    label_weights: Tensor | None = None

    @property
    def augment(self) -> None:
        """Nothing: images with labels are deformed already, and no game that can be mapped deforms others."""


class _Turn(nn.Module):
    """One player's terms as the output of a network that holds both players."""

    def __init__(self, state: TrainingState, objective: Objective, kind: str) -> None:
        super().__init__()
        self.generator, self.discriminator = mappable(state.generator), mappable(state.discriminator)
        self.terms = objective.generator_terms if kind == "generator" else objective.discriminator_terms

    def forward(self, batch: TensorDict) -> tuple[TensorDict, TensorDict]:
        terms = self.terms(self.generator, self.discriminator, _Batch(**batch))
        return terms.losses, terms.monitors


def _compares_rows(network: nn.Module) -> bool:
    return any(isinstance(module, MinibatchDiscrimination | ReferenceBatch) for module in network.modules())


def _steps(state: TrainingState) -> tuple[int, ...]:
    """Of the run, of its average, and of each player's Adam."""
    optimizers = (state.optimizers.discriminator, state.optimizers.generator)
    moved = [int(max((one["step"] for one in optimizer.state.values()), default=0)) for optimizer in optimizers]
    return (state.step, int(state.average.num_updates), *moved)


def _shapes(state: TrainingState) -> tuple[Any, ...]:
    both = (*state.generator.state_dict().items(), *state.discriminator.state_dict().items())
    return tuple((name, tuple(value.shape)) for name, value in both)


def _parts(batches: Sequence[TrainingBatch]) -> dict[str, list[Tensor]]:
    """The parts that the batches have, by name."""
    parts = {name: [getattr(batch, name) for batch in batches] for name in _Batch._fields}
    return {name: values for name, values in parts.items() if values[0] is not None}

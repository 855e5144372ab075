"""Training members, one by one or all in one step each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from improved_gan.distributed import single_process
from improved_gan.estimator.architecture import Architecture
from improved_gan.estimator.batches import ArrayBatches, Examples
from improved_gan.estimator.progress import Cost, FitResult, MemberTraining, Validation
from improved_gan.kernels.random_source import own_generator_by_default, own_random_numbers, seed_random_numbers
from improved_gan.modes import to_training_
from improved_gan.recipes.recipe import PRECISIONS, Recipe
from improved_gan.runs.loop import step_all, take_steps
from improved_gan.techniques import WeightEMA
from improved_gan.training import Optimizers
from improved_gan.training.state import TrainingState
from improved_gan.training.time_estimate import StepTimer
from improved_gan.training.vmapped import VmappedTraining, vmap_incompatibility

__all__ = ["EnsembleTrainer"]

_State = dict[str, Tensor] | None  # of an earlier fit, to go on from


@dataclass(frozen=True)
class EnsembleTrainer:
    """What the members have in common. A fit shares nothing with other threads, nor with the global random state.

    Args:
        choice: the networks.
        recipe: the settings, with the number of epochs.
        examples: for the data-dependent initialization.
        validation: for early stopping; None trains to the end.
        device: where to train.
        keep_state: whether a later fit may go on from this one.
        verbose: 0 silent, 1 ten reports, 2 every report.
        cost: for the report of the time that training takes.
    """

    choice: Architecture
    recipe: Recipe
    examples: Examples
    validation: Validation | None
    device: str
    keep_state: bool = False
    verbose: int = 0
    cost: Cost = field(default_factory=Cost)

    def train_one(self, batches: ArrayBatches, seed: int, before: _State) -> FitResult:
        """Train one member; everything random is drawn from the seed.

        Raises:
            DivergedError: a term is not finite.
        """
        with single_process(), own_random_numbers(seed, self.device):
            state = _initial_state(self.recipe, self.examples, seed, self.device, before)
            progress = self._progress(state, batches.steps_per_epoch)
            for epoch, _ in take_steps(state, batches, self.recipe.objective, self.recipe):
                progress.stepped()
                if state.step % batches.steps_per_epoch == 0 and progress.due(epoch + 1):
                    progress.report(epoch + 1)
                    if progress.fit is not None:
                        break
            return progress.ended()

    def train_all(
        self, batches: Sequence[ArrayBatches], seeds: Sequence[int], before: Sequence[_State]
    ) -> list[FitResult]:
        """Train one member a seed, all in one step each (`training.vmapped`).

        A member that has stopped early is stepped on with the others; its result no longer changes.

        Members that stopped at different steps before (a warm start after early stopping) are trained one by one.
        Each seed decides its member's initialization and batches; the noise of all is drawn with the first one.

        Raises:
            DivergedError: a term of any member is not finite.
        """
        states = []
        for seed, state_before in zip(seeds, before, strict=True):
            with single_process(), own_random_numbers(seed, self.device):
                states.append(_initial_state(self.recipe, self.examples, seed, self.device, state_before))
        if vmap_incompatibility(states, self.recipe.objective):
            return [self.train_one(*parts) for parts in zip(batches, seeds, before, strict=True)]
        members = [
            self._progress(state, batches[0].steps_per_epoch, number + 1, len(states))
            for number, state in enumerate(states)
        ]
        with single_process(), own_random_numbers(seeds[0], self.device):
            vmapped = VmappedTraining(states, self.recipe.objective, PRECISIONS[self.recipe.precision])
            for epoch, _ in step_all(vmapped, batches, self.recipe):
                members[0].stepped()
                if vmapped.step_number % batches[0].steps_per_epoch or not members[0].due(epoch + 1):
                    continue
                vmapped.unstack()
                for member in members:
                    if member.fit is None:
                        member.report(epoch + 1)
                if all(member.fit for member in members):
                    break
        return [member.ended() for member in members]

    def _progress(
        self, state: TrainingState, steps_per_epoch: int, number: int = 1, members: int = 1
    ) -> MemberTraining:
        timer = StepTimer(self.recipe.epochs * steps_per_epoch)
        settings = (self.validation, self.device, self.verbose, self.keep_state)
        return MemberTraining(self.choice, self.recipe, state, *settings, number, members, timer=timer, cost=self.cost)


def _initial_state(
    recipe: Recipe, examples: Examples, seed: int, device: str, before: dict[str, Tensor] | None
) -> TrainingState:
    with own_generator_by_default():
        generator, discriminator = recipe.generator(), recipe.discriminator()
    if before is None and recipe.init_batch_size:
        order = np.random.default_rng(seed).permutation(len(examples))[: recipe.init_batch_size]
        discriminator.init_from_data_(examples.take(order).cpu())
        generator.init_from_data_(recipe.init_batch_size)
    networks = [network.to(device) for network in (discriminator, generator)]
    for network in networks:
        to_training_(network)  # what a recipe has frozen stays frozen
    if recipe.channels_last:
        for network in networks:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizers = Optimizers(
        *(
            torch.optim.Adam(
                [parameter for parameter in network.parameters() if parameter.requires_grad],
                lr=recipe.learning_rate,
                betas=recipe.adam_betas,
                eps=recipe.adam_epsilon,
                fused=True,
            )
            for network in networks
        )
    )
    average = WeightEMA(discriminator, recipe.ema_decay, every=recipe.ema_every).to(device)
    state = TrainingState(generator, discriminator, optimizers, average)
    if before is not None:
        state.load(before)
        seed_random_numbers(seed)
        state.step, state.seconds = 0, 0.0
    return state

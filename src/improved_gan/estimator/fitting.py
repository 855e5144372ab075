"""Train the members one by one or together; reports, early stopping and the best weights between the steps."""

import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor, nn

from improved_gan.console import say
from improved_gan.data.batches import Batches
from improved_gan.distributed import single_process
from improved_gan.estimator.architecture import Architecture
from improved_gan.estimator.inputs import Examples
from improved_gan.estimator.storage import EnsembleMember
from improved_gan.kernels.random_source import own_random_numbers, seed_random_numbers
from improved_gan.recipes.recipe import PRECISIONS, Recipe
from improved_gan.runs.build import build
from improved_gan.runs.loop import step_all, take_steps
from improved_gan.training.diagnostics import Setting, check
from improved_gan.training.errors import DivergedError
from improved_gan.training.objectives import weighted_cross_entropy
from improved_gan.training.reporting import cost
from improved_gan.training.state import TrainingState
from improved_gan.training.time_estimate import StepTimer, in_words
from improved_gan.training.vmapped import VmappedTraining, vmap_incompatibility

__all__ = ["Cost", "EnsembleTrainer", "FitResult", "MemberTraining", "Validation"]

_State = dict[str, Tensor] | None  # of an earlier fit, to go on from
_LONG = 600.0  # seconds: a `fit` with the default number of epochs warns beyond it
_QUIET = 60.0  # seconds without a line, at most
_NAMES = {
    "validation/error": "validation error",
    "discriminator/supervised": "labeled loss",
    "discriminator/unsupervised": "real-or-generated loss",
    "generator/feature_matching": "feature distance",
}


@dataclass(frozen=True)
class Cost:
    """The time of a whole `fit` in members; `default` where the user gave no number of epochs."""

    in_turn: int = 1
    default: bool = False


@dataclass(frozen=True)
class Validation:
    """Labeled examples held out of training, and after how many reports without a lower error training stops."""

    images: Tensor  # (V, C, H, W)
    codes: Tensor  # (V,)
    n_iter_no_change: int
    weights: Tensor | None = None  # (V,) of mean 1: how much each counts; None for 1

    @torch.no_grad()
    def score(self, network: nn.Module) -> tuple[float, float]:
        """Error, and the mean cross entropy as a tie-breaker."""
        logits = network.eval()(self.images).logits
        mistakes = (logits.argmax(1) != self.codes).float()
        if self.weights is None:
            return mistakes.mean().item(), F.cross_entropy(logits, self.codes).item()
        return (self.weights * mistakes).mean().item(), weighted_cross_entropy(logits, self.codes, self.weights).item()


@dataclass(frozen=True)
class FitResult:
    """The result of training one member."""

    member: EnsembleMember
    epochs: int
    history: list[dict[str, float]]
    diagnostics: list[str]


@dataclass
class MemberTraining:
    """One member in training; `fit` is its result, None until training has ended."""

    choice: Architecture
    recipe: Recipe
    state: TrainingState
    validation: Validation | None
    device: str
    verbose: int
    keep_state: bool
    number: int = 1  # of this member
    members: int = 1  # that are trained in the same steps
    history: list[dict[str, float]] = field(default_factory=list)
    diagnostics: list[str] = field(default_factory=list)
    best: tuple[tuple[float, float], dict[str, Tensor]] | None = None
    checks_since: int = 0
    fit: FitResult | None = None
    timer: StepTimer = field(default_factory=lambda: StepTimer(0))
    cost: Cost = field(default_factory=Cost)
    printed_at: float | None = None  # time of the last printed line; None before the cost is known

    def stepped(self) -> None:
        """After each step: the first steps give the estimate of the total time, later steps a line each minute."""
        self.timer.step()
        each = self.timer.seconds_per_step()
        if each is None:
            return
        if self.printed_at is None:
            self.printed_at = self.timer.now
            self._report_cost(each)
        elif self.verbose and self.timer.now - self.printed_at + each >= _QUIET:
            shown = [f"step {self.timer.done}/{self.timer.total}", _shown(self.state.means())]
            self._say("  ".join([*filter(None, shown), f"about {in_words(self.timer.seconds_left() or 0.0)} left"]))

    def _report_cost(self, each: float) -> None:
        where = "this GPU" if self.device.startswith("cuda") else "this processor"
        seconds = each * self.timer.total * self.cost.in_turn
        if not self.cost.in_turn:
            return
        if self.verbose:
            self._say(cost(seconds, each, where))
        if self.cost.default and seconds > _LONG:
            warnings.warn(
                f"fit will take {cost(seconds, each, where)}: {self.recipe.epochs} epochs is the default for so many "
                "examples; give epochs= for a shorter training, or verbose=1 to see how far it is",
                stacklevel=2,
            )

    def _say(self, text: str) -> None:
        self.printed_at = None if self.printed_at is None else self.timer.now
        say(Console(file=sys.stdout), text)

    def due(self, epochs: int) -> bool:
        """Whether a report is due after that many epochs."""
        return epochs % self.recipe.report_every == 0 or epochs == self.recipe.epochs

    def report(self, epochs: int) -> None:
        """Report after that many epochs; end at the last one, or after n_iter_no_change reports without improvement."""
        self._report(epochs)
        stopped_early = self.validation is not None and self.checks_since >= self.validation.n_iter_no_change
        if epochs == self.recipe.epochs or stopped_early:
            tensors = self.best[1] if self.best else self._tensors()
            state = _copies(self.state.tensors()) if self.keep_state else None
            self.fit = FitResult(
                EnsembleMember(self.choice, tensors, state, self.device), epochs, self.history, self.diagnostics
            )

    def ended(self) -> FitResult:
        """The result, after the last step."""
        assert self.fit is not None, "the last epoch is always reported"
        return self.fit

    def _report(self, epochs: int) -> None:
        if names := self.state.not_finite():
            raise DivergedError(
                f"{', '.join(names)} is not finite after epoch {epochs}: training has diverged. Try "
                + " or ".join(["a smaller learning_rate", "precision='float32'"][: 1 + (not self._setting().float32)])
            )
        line = {"epoch": epochs, "seconds": round(self.state.seconds, 3), **self.state.pop_means()}
        if self.validation is not None:
            line |= self._validate(self.validation)
        self.history.append(line)
        self.diagnostics = [
            diagnostic.message for diagnostic in check(line, step=self.state.step, setting=self._setting())
        ]
        reports = math.ceil(self.recipe.epochs / self.recipe.report_every)
        if self.verbose and (self.verbose > 1 or len(self.history) % max(1, reports // 10) == 0):
            self._say(self._words(line))
            for message in self.diagnostics:
                say(Console(file=sys.stdout), f"warning: {message}")

    def _setting(self) -> Setting:
        """The settings that decide which remedies a diagnostic may name."""
        return Setting(
            generator_updates=None,
            adam_epsilon=1e-4,  # set by the recipe
            float32=self.recipe.precision == "float32",
            checkpoints=False,
        )

    def _validate(self, validation: Validation) -> dict[str, float]:
        score = validation.score(self.state.average.averaged(self.state.discriminator))
        if self.best is None or score < self.best[0]:
            self.best, self.checks_since = (score, self._tensors()), 0
        else:
            self.checks_since += 1
        return {"validation/error": score[0], "validation/loss": score[1]}

    def _tensors(self) -> dict[str, Tensor]:
        parts: dict[str, nn.Module] = {"classifier": self.state.average.averaged(self.state.discriminator)}
        if self.state.generator is not None:
            parts["generator"] = self.state.generator
        named = {f"{key}.{name}": one for key, part in parts.items() for name, one in part.state_dict().items()}
        return _copies(named)

    def _words(self, line: dict[str, float]) -> str:
        total, done = self.recipe.epochs, int(line["epoch"])
        seconds = line["seconds"] * self.members  # of a vmapped member they are its part of the step
        left = seconds * (total - done) / done
        which = f"model {self.number}  " if self.members > 1 else ""
        rest = f", about {in_words(left)} left" if left else ""
        return f"{which}epoch {done}/{total}  {_shown(line)}  {seconds:.0f} s{rest}"


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

    def train_one(self, batches: Batches, seed: int, before: _State) -> FitResult:
        """Train one member; everything random is drawn from the seed.

        Raises:
            DivergedError: a term is not finite.
        """
        with single_process(), own_random_numbers(seed, self.device):
            state = self._start(seed, before)
            progress = self._progress(state, batches.steps_per_epoch)
            for epoch, _ in take_steps(state, batches, self.recipe.objective, self.recipe):
                progress.stepped()
                if state.step % batches.steps_per_epoch == 0 and progress.due(epoch + 1):
                    progress.report(epoch + 1)
                    if progress.fit is not None:
                        break
            return progress.ended()

    def train_all(self, batches: Sequence[Batches], seeds: Sequence[int], before: Sequence[_State]) -> list[FitResult]:
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
                states.append(self._start(seed, state_before))
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

    def _start(self, seed: int, before: _State) -> TrainingState:
        """The state before the first step; that of an earlier fit where there is one, with new random numbers."""
        state = build(self.recipe, None if before else partial(self._some, seed), seed=seed, device=self.device)
        if before is not None:
            state.load(before)
            seed_random_numbers(seed)
            state.step, state.seconds = 0, 0.0
        return state

    def _some(self, seed: int, num: int) -> Tensor:
        """Random examples for the data-dependent initialization."""
        order = np.random.default_rng(seed).permutation(len(self.examples))[:num]
        return self.examples.take(order).cpu()


def _shown(line: Mapping[str, float]) -> str:
    return "  ".join(f"{word} {line[name]:.4f}" for name, word in _NAMES.items() if name in line)


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU, independent of the originals."""
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}

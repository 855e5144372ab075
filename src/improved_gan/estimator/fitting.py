"""Training one member: start, steps, early stopping on held-out labels, and the best weights at the end."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor, nn

from improved_gan.estimator.batches import ArrayBatches, Examples
from improved_gan.estimator.choice import Choice
from improved_gan.estimator.member import Member
from improved_gan.recipes.recipe import PRECISIONS, Recipe
from improved_gan.techniques import WeightAverage
from improved_gan.training import Optimizers, alarms
from improved_gan.training.errors import DivergedError
from improved_gan.training.loop import take_steps
from improved_gan.training.reporting import say
from improved_gan.training.schedule import Schedule
from improved_gan.training.state import TrainingState

__all__ = ["Fit", "Validation", "fit_member"]


@dataclass(frozen=True)
class Validation:
    """Labelled examples that training does not see, and the patience with which it waits for them to get better."""

    images: Tensor  # (V, C, H, W)
    codes: Tensor  # (V,)
    patience: int

    @torch.no_grad()
    def judge(self, network: nn.Module) -> tuple[float, float]:
        """Error, and the mean cross entropy to tell equal errors apart."""
        logits = network.eval()(self.images).logits
        error = (logits.argmax(1) != self.codes).float().mean().item()
        return error, F.cross_entropy(logits, self.codes).item()


@dataclass(frozen=True)
class Fit:
    """What came of it."""

    member: Member
    epochs: int
    history: list[dict[str, float]]
    alarms: list[str]


def fit_member(
    choice: Choice,
    recipe: Recipe,
    examples: Examples,
    batches: ArrayBatches,
    *,
    validation: Validation | None,
    seed: int,
    device: str,
    before: dict[str, Tensor] | None = None,
    keep_state: bool = False,
    verbose: int = 0,
) -> Fit:
    """Train one pair of networks; the global random state stays as it is.

    Args:
        choice: the networks.
        recipe: the settings, with the number of epochs.
        examples: for the data-dependent start.
        batches: of the training.
        validation: for early stopping; None trains to the end.
        seed: of all that is random.
        device: where to train.
        before: the state of an earlier fit to go on from.
        keep_state: whether a later fit may go on from this one.
        verbose: 0 silent, 1 ten reports, 2 every report.

    Raises:
        DivergedError: a term is not finite.
    """
    with _own_random_state(seed, device):
        state = _start(recipe, examples, seed, device, before)
        return _Fitting(choice, recipe, state, validation, device, verbose).run(batches, keep_state=keep_state)


@contextmanager
def _own_random_state(seed: int, device: str) -> Iterator[None]:
    with torch.random.fork_rng(devices=[torch.device(device)] if device.startswith("cuda") else []):
        torch.manual_seed(seed)
        yield


def _start(
    recipe: Recipe, examples: Examples, seed: int, device: str, before: dict[str, Tensor] | None
) -> TrainingState:
    generator, discriminator = recipe.generator(), recipe.discriminator()
    if before is None and recipe.num_start_images:
        order = np.random.default_rng(seed).permutation(len(examples))[: recipe.num_start_images]
        discriminator.start_(examples.take(order).cpu())
        generator.start_(recipe.num_start_images)
    players = [player.to(device).train() for player in (discriminator, generator)]
    optimizers = Optimizers(
        *(
            torch.optim.Adam(
                [parameter for parameter in player.parameters() if parameter.requires_grad],
                lr=recipe.learning_rate,
                betas=recipe.adam_betas,
                eps=recipe.adam_epsilon,
                fused=True,
            )
            for player in players
        )
    )
    average = WeightAverage(discriminator, recipe.average_decay, every=recipe.average_every).to(device)
    state = TrainingState(generator, discriminator, optimizers, average)
    if before is not None:
        state.load(before)
        torch.manual_seed(seed)
        state.step, state.seconds = 0, 0.0
    return state


@dataclass
class _Fitting:
    """What happens between steps."""

    choice: Choice
    recipe: Recipe
    state: TrainingState
    validation: Validation | None
    device: str
    verbose: int

    def __post_init__(self) -> None:
        self.history: list[dict[str, float]] = []
        self.alarms: list[str] = []
        self.best: tuple[tuple[float, float], dict[str, Tensor]] | None = None
        self.checks_since = 0

    def run(self, batches: ArrayBatches, *, keep_state: bool) -> Fit:
        recipe = self.recipe
        schedule = Schedule(
            recipe.epochs, recipe.learning_rate, recipe.decay_share, precision=PRECISIONS[recipe.precision]
        )
        epochs = 0
        for epoch, _ in take_steps(self.state, batches, recipe.objective, schedule):
            if self.state.step % batches.steps_per_epoch:
                continue
            epochs = epoch + 1
            if epochs % recipe.report_every == 0 or epochs == recipe.epochs:
                self._report(epochs)
                if self.validation is not None and self.checks_since >= self.validation.patience:
                    break
        tensors = self.best[1] if self.best else self._tensors()
        state = self.state.tensors() if keep_state else None
        return Fit(Member(self.choice, tensors, state, self.device), epochs, self.history, self.alarms)

    def _report(self, epochs: int) -> None:
        if names := self.state.not_finite():
            raise DivergedError(
                f"{', '.join(names)} is not finite after epoch {epochs}: training has diverged. Try a smaller "
                "learning_rate, or precision='float32'"
            )
        line = {"epoch": epochs, "seconds": round(self.state.seconds, 3), **self.state.take_means()}
        if self.validation is not None:
            line |= self._validate(self.validation)
        self.history.append(line)
        self.alarms = [alarm.message for alarm in alarms.check(line)]
        reports = math.ceil(self.recipe.epochs / self.recipe.report_every)
        if self.verbose and (self.verbose > 1 or len(self.history) % max(1, reports // 10) == 0):
            say(Console(file=sys.stdout), self._words(line))
            for message in self.alarms:
                say(Console(file=sys.stdout), f"warning: {message}")

    def _validate(self, validation: Validation) -> dict[str, float]:
        score = validation.judge(self.state.average.averaged(self.state.discriminator))
        if self.best is None or score < self.best[0]:
            self.best, self.checks_since = (score, self._tensors()), 0
        else:
            self.checks_since += 1
        return {"validation/error": score[0], "validation/loss": score[1]}

    def _tensors(self) -> dict[str, Tensor]:
        parts = {
            "generator": self.state.generator,
            "classifier": self.state.average.averaged(self.state.discriminator),
        }
        return {
            f"{prefix}.{name}": value.detach().cpu().clone()
            for prefix, part in parts.items()
            for name, value in part.state_dict().items()
        }

    def _words(self, line: dict[str, float]) -> str:
        total, done = self.recipe.epochs, int(line["epoch"])
        left = line["seconds"] * (total - done) / done
        names = {
            "validation/error": "validation error",
            "discriminator/supervised": "labelled loss",
            "discriminator/unsupervised": "real-or-generated loss",
            "generator/feature_matching": "feature distance",
        }
        shown = "  ".join(f"{word} {line[name]:.4f}" for name, word in names.items() if name in line)
        return f"epoch {done}/{total}  {shown}  {line['seconds']:.0f} s, about {left:.0f} s left"

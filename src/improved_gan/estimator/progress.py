"""What happens between the steps of one member: reports, early stopping on held-out labels, the best weights."""

import math
import sys
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor, nn

from improved_gan.estimator.choice import Choice
from improved_gan.estimator.member import Member
from improved_gan.recipes.recipe import Recipe
from improved_gan.training import alarms
from improved_gan.training.errors import DivergedError
from improved_gan.training.objectives import weighted_cross_entropy
from improved_gan.training.reporting import say
from improved_gan.training.state import TrainingState

__all__ = ["Fit", "Progress", "Validation"]


@dataclass(frozen=True)
class Validation:
    """Labelled examples that training does not see, and the patience with which it waits for them to get better."""

    images: Tensor  # (V, C, H, W)
    codes: Tensor  # (V,)
    patience: int
    weights: Tensor | None = None  # (V,) of mean 1: how much each counts; None for 1

    @torch.no_grad()
    def judge(self, network: nn.Module) -> tuple[float, float]:
        """Error, and the mean cross entropy to tell equal errors apart."""
        logits = network.eval()(self.images).logits
        wrong = (logits.argmax(1) != self.codes).float()
        if self.weights is None:
            return wrong.mean().item(), F.cross_entropy(logits, self.codes).item()
        return (self.weights * wrong).mean().item(), weighted_cross_entropy(logits, self.codes, self.weights).item()


@dataclass(frozen=True)
class Fit:
    """What came of it."""

    member: Member
    epochs: int
    history: list[dict[str, float]]
    alarms: list[str]


@dataclass
class Progress:
    """One member on its way; `fit` is there when it has come to its end."""

    choice: Choice
    recipe: Recipe
    state: TrainingState
    validation: Validation | None
    device: str
    verbose: int
    keep_state: bool
    number: int = 1  # of this member
    members: int = 1  # that share their steps
    history: list[dict[str, float]] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    best: tuple[tuple[float, float], dict[str, Tensor]] | None = None
    checks_since: int = 0
    fit: Fit | None = None

    def due(self, epochs: int) -> bool:
        """Whether a report is to be made after that many epochs."""
        return epochs % self.recipe.report_every == 0 or epochs == self.recipe.epochs

    def report(self, epochs: int) -> None:
        """Look at the state after that many epochs, and end where the last is reached or patience is at its end."""
        self._report(epochs)
        impatient = self.validation is not None and self.checks_since >= self.validation.patience
        if epochs == self.recipe.epochs or impatient:
            tensors = self.best[1] if self.best else self._tensors()
            state = _copies(self.state.tensors()) if self.keep_state else None
            self.fit = Fit(Member(self.choice, tensors, state, self.device), epochs, self.history, self.alarms)

    def ended(self) -> Fit:
        """What came of it, after the last step."""
        assert self.fit is not None, "the last epoch is always reported"
        return self.fit

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
        named = {f"{key}.{name}": one for key, part in parts.items() for name, one in part.state_dict().items()}
        return _copies(named)

    def _words(self, line: dict[str, float]) -> str:
        total, done = self.recipe.epochs, int(line["epoch"])
        seconds = line["seconds"] * self.members  # those of a member are its share
        left = seconds * (total - done) / done
        names = {
            "validation/error": "validation error",
            "discriminator/supervised": "labelled loss",
            "discriminator/unsupervised": "real-or-generated loss",
            "generator/feature_matching": "feature distance",
        }
        shown = "  ".join(f"{word} {line[name]:.4f}" for name, word in names.items() if name in line)
        which = f"model {self.number}  " if self.members > 1 else ""
        return f"{which}epoch {done}/{total}  {shown}  {seconds:.0f} s, about {left:.0f} s left"


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, whatever becomes of the originals."""
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}

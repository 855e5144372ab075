"""The members of an ensemble: one plan, several seeds, one after the other or several at a time."""

import math
import sys
import warnings
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed, effective_n_jobs
from rich.console import Console
from torch import Tensor

from improved_gan.console import say
from improved_gan.data.batches import Batches, PseudoLabels
from improved_gan.data.label_split import LabelSplit
from improved_gan.estimator.architecture import Architecture, select_architecture
from improved_gan.estimator.arrays import sample_hashes
from improved_gan.estimator.fitting import Cost, EnsembleTrainer, FitResult, Validation
from improved_gan.estimator.inputs import Examples, InputSpec
from improved_gan.estimator.labels import KnownLabels, hold_out
from improved_gan.estimator.scaling import RangeScale
from improved_gan.estimator.settings import Settings
from improved_gan.estimator.weights import to_mean_one
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling
from improved_gan.recipes.precision import resolve_precision
from improved_gan.recipes.recipe import AUTO, Recipe
from improved_gan.training.objectives import SemiSupervised, SupervisedBaseline

__all__ = ["FitPlan", "fit_members", "warn_at_chance"]

_REPORTS = 40
_NEAR = 0.8  # of the error of always predicting the most frequent class
_FEW_STEPS = 20  # with fewer there is no warning of chance
_PSEUDO_LABELED = 60  # pseudo-labeled examples a step, for a batch size of 100


@dataclass(frozen=True)
class FitPlan:
    """What all members have in common."""

    parts: list[np.ndarray]
    known: KnownLabels
    spec: InputSpec
    settings: Settings
    choice: Architecture
    training: np.ndarray  # positions among the known labels
    validation: np.ndarray
    trained: frozenset[str]  # keys of all examples whose labels were trained on; empty without a warm start
    pseudo_labels: PseudoLabels | None = None  # from label spreading
    weights: np.ndarray | None = None  # (L,) how much each known label counts
    in_turn: int = 1  # members trained one after the other, for the reported time; 0: another member reports it

    @classmethod
    def plan(
        cls,
        parts: list[np.ndarray],
        known: KnownLabels,
        spec: InputSpec,
        settings: Settings,
        *,
        seed: int,
        trained: Set[str] = frozenset(),
        weights: np.ndarray | None = None,
    ) -> "FitPlan":
        """Choose networks, and divide the labels.

        Args:
            parts: X, and the unlabeled X where there is one.
            known: the labels.
            spec: how X is read.
            settings: the estimator's parameters.
            seed: of the division.
            trained: keys of examples whose labels the fit before has trained on; they are not held out.
            weights: (L,) how much each label counts; None for 1.

        Raises:
            ValueError: an unknown network, or too few labels to hold some out.
        """
        columns = not isinstance(spec.scale, RangeScale)
        choice = select_architecture(spec.layout, len(known.classes), network=settings.network, columns=columns)
        keys = sample_hashes(parts[0], known.rows) if settings.warm_start else []
        fraction = settings.validation_fraction
        training, validation = hold_out(known.codes, fraction, seed=seed, keys=keys, trained=trained)
        now = frozenset(keys[position] for position in training) if keys else frozenset()
        return cls(parts, known, spec, settings, choice, training, validation, now | trained, weights=weights)

    @property
    def num_examples(self) -> int:
        """Labeled and unlabeled."""
        return sum(map(len, self.parts))

    def recipe(self, steps_per_epoch: int) -> Recipe:
        """The chosen recipe with the user's settings."""
        settings = self.settings
        epochs = settings.epochs or self.choice.epochs(steps_per_epoch)
        recipe = self.choice.to_recipe(
            len(self.training),
            epochs=epochs,
            report_every=max(1, epochs // _REPORTS),
            lr_decay_fraction=0.5,
            # About a tenth of the steps, so that a short training is not tested with its first, wrong weights.
            ema_decay=1 - 1 / min(1000.0, max(10.0, 0.1 * epochs * steps_per_epoch)),
            ema_every=1,
        )
        if settings.precision != AUTO:
            recipe = replace(recipe, precision=settings.precision)
        recipe = resolve_precision(recipe, torch.device(settings.device))
        if settings.learning_rate is not None:
            recipe = replace(recipe, learning_rate=settings.learning_rate)
        if settings.unsupervised_weight == 0:
            return replace(recipe, objective=SupervisedBaseline(), generator=None, generator_ema_decay=None)
        assert isinstance(recipe.objective, SemiSupervised)
        return replace(recipe, objective=replace(recipe.objective, unsupervised_weight=settings.unsupervised_weight))

    def spread_labels(self) -> PseudoLabels:
        """Pseudo-labels by label spreading from the training labels; held-out examples are not used."""
        examples = Examples(self.parts, self.spec, "cpu")
        batch_size = min(self.settings.batch_size, len(examples))
        pseudo_labeling = PseudoLabeling(
            max(1, _PSEUDO_LABELED * batch_size // 100), confident_fraction=0.7, active_fraction=0.45
        )
        labels = torch.full((len(examples),), -1)
        labels[torch.from_numpy(self.known.rows[self.training])] = torch.from_numpy(self.known.codes[self.training])
        rows = torch.from_numpy(np.setdiff1d(np.arange(len(examples)), self.known.rows[self.validation]))
        positions, classes = pseudo_labeling.spread(examples.take(rows.numpy()), labels[rows])
        epochs = pseudo_labeling.num_epochs(self.recipe(len(examples) // batch_size).epochs)
        return PseudoLabels(rows[positions], classes, pseudo_labeling.batch_size, epochs)

    def announce(self) -> None:
        """Print what was found and chosen."""
        known, settings = self.known, self.settings
        held = f", {len(self.validation)} of them held out for validation" if len(self.validation) else ""
        lines = [
            f"{self.num_examples} examples, {len(known.rows)} with labels in {len(known.classes)} classes{held}",
            self.spec.describe(),
            f"{self.choice.describe()}; {settings.n_estimators} model{'s' * (settings.n_estimators > 1)} on "
            f"{settings.device}",
        ]
        for line in lines:
            say(Console(file=sys.stdout), line)


def fit_members(
    plan: FitPlan, seeds: list[int], before: list[dict[str, Tensor] | None], *, n_jobs: int | None
) -> list[FitResult]:
    """Train one member a seed.

    Args:
        plan: what to train.
        seeds: of the members.
        before: their states to go on from; empty to begin.
        n_jobs: processes, as in joblib.

    Raises:
        DivergedError: a training diverged.
    """
    if plan.settings.label_spreading and not before:  # a warm start has trained networks already
        plan = replace(plan, pseudo_labels=plan.spread_labels())
    jobs: list[tuple[int, Any]] = list(zip(seeds, before or [None] * len(seeds), strict=True))
    if len(jobs) == 1:
        return [_fit_one(plan, *jobs[0])]
    if _train_vmapped(plan, n_jobs):
        return _fit_vmapped(plan, seeds, before or [None] * len(seeds))
    states = [None if state is None else {name: value.numpy() for name, value in state.items()} for _, state in jobs]
    in_turn = math.ceil(len(jobs) / effective_n_jobs(n_jobs))
    plans = [replace(plan, in_turn=0 if number else in_turn) for number in range(len(jobs))]
    each = zip(plans, seeds, states, strict=True)
    return list(Parallel(n_jobs=n_jobs)(delayed(_fit_from_arrays)(*words) for words in each))


def _train_vmapped(plan: FitPlan, n_jobs: int | None) -> bool:
    """One small dense member does not fill a GPU; one member fills CPU cores, and a convolutional one a GPU."""
    return plan.settings.device.startswith("cuda") and n_jobs in (None, 1) and plan.choice.network == "dense"


def _fit_from_arrays(plan: FitPlan, seed: int, state: dict[str, np.ndarray] | None) -> FitResult:
    tensors = None if state is None else {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
    return _fit_one(plan, seed, tensors)


def _fit_one(plan: FitPlan, seed: int, before: dict[str, Tensor] | None) -> FitResult:
    examples = _examples(plan)
    batches = _batches(plan, examples, seed)
    return _fitting(plan, examples, batches.steps_per_epoch).train_one(batches, seed, before)


def _fit_vmapped(plan: FitPlan, seeds: list[int], before: list[dict[str, Tensor] | None]) -> list[FitResult]:
    """All members in one step each, from one copy of the examples."""
    examples = _examples(plan)
    batches = [_batches(plan, examples, seed) for seed in seeds]
    return _fitting(plan, examples, batches[0].steps_per_epoch).train_all(batches, seeds, before)


def _fitting(plan: FitPlan, examples: Examples, steps_per_epoch: int) -> EnsembleTrainer:
    settings = plan.settings
    return EnsembleTrainer(
        plan.choice,
        plan.recipe(steps_per_epoch),
        examples,
        _validation(plan, examples),
        settings.device,
        keep_state=settings.warm_start,
        verbose=settings.verbose,
        cost=Cost(plan.in_turn, default=settings.epochs is None),
    )


def _examples(plan: FitPlan) -> Examples:
    return Examples(plan.parts, plan.spec, plan.settings.device)


def _batches(plan: FitPlan, examples: Examples, seed: int) -> Batches:
    """Labeled examples are among the unlabeled ones too, as released; held-out ones are so without their label."""
    known, weights = plan.known, plan.weights
    rows, codes = known.rows[plan.training], known.codes[plan.training]
    return Batches(
        examples,
        LabelSplit(seed, tuple(rows.tolist()), tuple(codes.tolist()), len(examples)),
        batch_size=min(plan.settings.batch_size, len(examples)),
        seed=seed,
        device=plan.settings.device,
        pseudo_labels=plan.pseudo_labels,
        label_weights=None if weights is None else torch.from_numpy(to_mean_one(weights[plan.training])).float(),
    )


def _validation(plan: FitPlan, examples: Examples) -> Validation | None:
    if not len(plan.validation):
        return None
    known, settings = plan.known, plan.settings
    codes = torch.from_numpy(known.codes[plan.validation]).to(settings.device)
    images, weights = examples.take(known.rows[plan.validation]), plan.weights
    if weights is None:
        return Validation(images, codes, settings.n_iter_no_change)
    scaled = torch.from_numpy(to_mean_one(weights[plan.validation])).float().to(settings.device)
    return Validation(images, codes, settings.n_iter_no_change, scaled)


def warn_at_chance(fits: Sequence[FitResult], known: KnownLabels, steps_per_epoch: int) -> None:
    """Warn of members whose final training error is no better than chance, and add that to their diagnostics.

    That is an error of at least 0.8 of that of always predicting the most frequent class, and a supervised loss above
    log K, the loss of equal probabilities.

    Args:
        fits: the results of the members.
        known: the labels.
        steps_per_epoch: of the training.
    """
    chance = 1 - np.bincount(known.codes).max() / len(known.codes)
    poor: list[tuple[float, float]] = []
    for fit in fits:
        last = fit.history[-1]
        error, loss = last["discriminator/labeled_error"], last["discriminator/supervised"]
        at_chance = error >= _NEAR * chance and loss > math.log(len(known.classes))
        if at_chance and fit.epochs * steps_per_epoch >= _FEW_STEPS:
            poor.append((error, loss))
            fit.diagnostics.append(_at_chance(error, loss, chance))
    if poor:
        which = f"{len(poor)} of {len(fits)} models: " if len(fits) > 1 else ""
        warnings.warn(which + _at_chance(*max(poor), chance), UserWarning, stacklevel=3)


def _at_chance(error: float, loss: float, chance: float) -> str:
    return (
        f"training has not improved on chance: the error on its own labels is {error:.0%} (chance: {chance:.0%}), the "
        f"loss {loss:.2f}. Try a smaller learning_rate (None takes that of the recipe) or more epochs, and look at "
        "whether X and y belong together"
    )

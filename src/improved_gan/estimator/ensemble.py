"""The members of an ensemble: one plan, several seeds, one after the other or several at a time."""

import math
import sys
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed, effective_n_jobs
from rich.console import Console
from torch import Tensor

from improved_gan.data import PseudoLabels
from improved_gan.estimator.architecture import Architecture, select_architecture
from improved_gan.estimator.arrays import sample_hashes
from improved_gan.estimator.batches import ArrayBatches, Examples
from improved_gan.estimator.fitting import EnsembleTrainer
from improved_gan.estimator.inputs import InputSpec
from improved_gan.estimator.labels import KnownLabels, hold_out
from improved_gan.estimator.progress import Cost, FitResult, Validation
from improved_gan.estimator.scaling import ColumnScale
from improved_gan.estimator.settings import Settings
from improved_gan.estimator.weights import to_mean_one
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling
from improved_gan.recipes.precision import resolve_precision
from improved_gan.recipes.recipe import AUTO, Recipe
from improved_gan.training import SemiSupervised, SupervisedBaseline
from improved_gan.training.reporting import say

__all__ = ["FitPlan", "fit_members"]

_REPORTS = 40
_GUESSED = 60  # examples with a guessed class a step, of 100


@dataclass(frozen=True)
class FitPlan:
    """What all members have in common."""

    parts: list[np.ndarray]
    known: KnownLabels
    form: InputSpec
    settings: Settings
    choice: Architecture
    training: np.ndarray  # places among the known labels
    validation: np.ndarray
    trained: frozenset[str]  # keys of all examples whose labels were trained on; empty without a warm start
    pseudo_labels: PseudoLabels | None = None  # classes that the labels were spread to
    weights: np.ndarray | None = None  # (L,) how much each known label counts
    in_turn: int = 1  # as long as so many members is what `fit` takes; 0 where another member tells it

    @classmethod
    def plan(
        cls,
        parts: list[np.ndarray],
        known: KnownLabels,
        form: InputSpec,
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
            form: how X is read.
            settings: of the user.
            seed: of the division.
            trained: keys of examples whose labels the fit before has trained on; they are not held out.
            weights: (L,) how much each label counts; None for 1.

        Raises:
            ValueError: an unknown network, or too few labels to hold some out.
        """
        columns = isinstance(form.scale, ColumnScale)
        choice = select_architecture(form.layout, len(known.classes), network=settings.network, columns=columns)
        keys = sample_hashes(parts[0], known.rows) if settings.warm_start else []
        fraction = settings.validation_fraction
        training, validation = hold_out(known.codes, fraction, seed=seed, keys=keys, trained=trained)
        now = frozenset(keys[place] for place in training) if keys else frozenset()
        return cls(parts, known, form, settings, choice, training, validation, now | trained, weights=weights)

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
            return replace(recipe, objective=SupervisedBaseline())
        assert isinstance(recipe.objective, SemiSupervised)
        return replace(recipe, objective=replace(recipe.objective, unsupervised_weight=settings.unsupervised_weight))

    def spread(self) -> PseudoLabels:
        """Guess the classes of the examples that are nearest to labeled ones; those held out have no part in it."""
        examples = Examples(self.parts, self.form.layout, self.form.scale, "cpu")
        batch_size = min(self.settings.batch_size, len(examples))
        pseudo_labeling = PseudoLabeling(
            max(1, _GUESSED * batch_size // 100), confident_fraction=0.7, active_fraction=0.45
        )
        labels = torch.full((len(examples),), -1)
        labels[torch.from_numpy(self.known.rows[self.training])] = torch.from_numpy(self.known.codes[self.training])
        rows = torch.from_numpy(np.setdiff1d(np.arange(len(examples)), self.known.rows[self.validation]))
        places, classes = pseudo_labeling.spread(examples.take(rows.numpy()), labels[rows])
        epochs = pseudo_labeling.num_epochs(self.recipe(len(examples) // batch_size).epochs)
        return PseudoLabels(rows[places], classes, pseudo_labeling.batch_size, epochs)

    def announce(self) -> None:
        """Say what was found and chosen."""
        known, settings = self.known, self.settings
        held = f", {len(self.validation)} of them held out for validation" if len(self.validation) else ""
        lines = [
            f"{self.num_examples} examples, {len(known.rows)} with labels in {len(known.classes)} classes{held}",
            self.form.describe(),
            f"{self.choice.describe()}; {settings.n_estimators} model{'s' * (settings.n_estimators > 1)} "
            f"on {settings.device}",
        ]
        for line in lines:
            say(Console(file=sys.stdout), line)


def fit_members(
    task: FitPlan, seeds: list[int], before: list[dict[str, Tensor] | None], *, n_jobs: int | None
) -> list[FitResult]:
    """Train one member a seed.

    Args:
        task: what to train.
        seeds: of the members.
        before: their states to go on from; empty to begin.
        n_jobs: processes, as in joblib.

    Raises:
        DivergedError: a training diverged.
    """
    if task.settings.label_spreading and not before:  # a warm start knows better already
        task = replace(task, pseudo_labels=task.spread())
    jobs: list[tuple[int, Any]] = list(zip(seeds, before or [None] * len(seeds), strict=True))
    if len(jobs) == 1:
        return [_fit_one(task, *jobs[0])]
    if _train_together(task, n_jobs):
        return _fit_together(task, seeds, before or [None] * len(seeds))
    states = [None if state is None else {name: value.numpy() for name, value in state.items()} for _, state in jobs]
    in_turn = math.ceil(len(jobs) / effective_n_jobs(n_jobs))
    tasks = [replace(task, in_turn=0 if number else in_turn) for number in range(len(jobs))]
    each = zip(tasks, seeds, states, strict=True)
    return list(Parallel(n_jobs=n_jobs)(delayed(_fit_from_arrays)(*words) for words in each))


def _train_together(task: FitPlan, n_jobs: int | None) -> bool:
    """A GPU is hardly busier with all small members than with one; CPU cores are, and so is a GPU with convolutions."""
    return task.settings.device.startswith("cuda") and n_jobs in (None, 1) and task.choice.network == "dense"


def _fit_from_arrays(task: FitPlan, seed: int, state: dict[str, np.ndarray] | None) -> FitResult:
    tensors = None if state is None else {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
    return _fit_one(task, seed, tensors)


def _fit_one(task: FitPlan, seed: int, before: dict[str, Tensor] | None) -> FitResult:
    examples = _examples(task)
    batches = _batches(task, examples, seed)
    return _fitting(task, examples, batches.steps_per_epoch).one(batches, seed, before)


def _fit_together(task: FitPlan, seeds: list[int], before: list[dict[str, Tensor] | None]) -> list[FitResult]:
    """All members in one step each, from one copy of the examples."""
    examples = _examples(task)
    batches = [_batches(task, examples, seed) for seed in seeds]
    return _fitting(task, examples, batches[0].steps_per_epoch).together(batches, seeds, before)


def _fitting(task: FitPlan, examples: Examples, steps_per_epoch: int) -> EnsembleTrainer:
    settings = task.settings
    return EnsembleTrainer(
        task.choice,
        task.recipe(steps_per_epoch),
        examples,
        _validation(task, examples),
        settings.device,
        keep_state=settings.warm_start,
        verbose=settings.verbose,
        cost=Cost(task.in_turn, default=settings.epochs is None),
    )


def _examples(task: FitPlan) -> Examples:
    return Examples(task.parts, task.form.layout, task.form.scale, task.settings.device)


def _batches(task: FitPlan, examples: Examples, seed: int) -> ArrayBatches:
    settings, known, weights = task.settings, task.known, task.weights
    return ArrayBatches(
        examples,
        known.rows[task.training],
        known.codes[task.training],
        batch_size=settings.batch_size,
        seed=seed,
        device=settings.device,
        pseudo_labels=task.pseudo_labels,
        weights=None if weights is None else to_mean_one(weights[task.training]),
    )


def _validation(task: FitPlan, examples: Examples) -> Validation | None:
    if not len(task.validation):
        return None
    known, settings = task.known, task.settings
    codes = torch.from_numpy(known.codes[task.validation]).to(settings.device)
    images, weights = examples.take(known.rows[task.validation]), task.weights
    if weights is None:
        return Validation(images, codes, settings.n_iter_no_change)
    scaled = torch.from_numpy(to_mean_one(weights[task.validation])).float().to(settings.device)
    return Validation(images, codes, settings.n_iter_no_change, scaled)

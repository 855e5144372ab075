"""A training that ended where it began: told in `fit`, as its numbers alone would pass for those of a hard problem."""

import math
import warnings
from collections.abc import Sequence

import numpy as np

from improved_gan.estimator.labels import KnownLabels
from improved_gan.estimator.progress import FitResult

__all__ = ["warn_at_chance"]

_NEAR = 0.8  # of the error of always naming the commonest class
_FEW_STEPS = 20  # after fewer nothing can be said


def warn_at_chance(fits: Sequence[FitResult], known: KnownLabels, steps_per_epoch: int) -> None:
    """Warn of members that end no better than chance on their own labels; also in their diagnostics.

    That is an error of at least 0.8 of that of always naming the commonest class, and a labeled loss above log K, the
    loss of equal probabilities.

    Args:
        fits: what came of the members.
        known: the labels.
        steps_per_epoch: of the training.
    """
    chance = 1 - np.bincount(known.codes).max() / len(known.codes)
    poor: list[tuple[float, float]] = []
    for fit in fits:
        last = fit.history[-1]
        error, loss = last["discriminator/labeled_error"], last["discriminator/supervised"]
        pseudo_labeling = error >= _NEAR * chance and loss > math.log(len(known.classes))
        if pseudo_labeling and fit.epochs * steps_per_epoch >= _FEW_STEPS:
            poor.append((error, loss))
            fit.diagnostics.append(_words(error, loss, chance))
    if poor:
        which = f"{len(poor)} of {len(fits)} models: " if len(fits) > 1 else ""
        warnings.warn(which + _words(*max(poor), chance), UserWarning, stacklevel=3)


def _words(error: float, loss: float, chance: float) -> str:
    return (
        f"the training has learnt nothing: on its own labels it errs in {error:.0%} (guessing: {chance:.0%}), with a "
        f"loss of {loss:.2f}. Try a smaller learning_rate (None takes that of the recipe) or more epochs, and look at "
        "whether X and y belong together"
    )

"""A warning of `fit` where training did not improve on chance, which its losses alone would not show."""

import math
import warnings
from collections.abc import Sequence

import numpy as np

from improved_gan.estimator.labels import KnownLabels
from improved_gan.estimator.progress import FitResult

__all__ = ["warn_at_chance"]

_NEAR = 0.8  # of the error of always predicting the most frequent class
_FEW_STEPS = 20  # with fewer there is no warning


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
            fit.diagnostics.append(_words(error, loss, chance))
    if poor:
        which = f"{len(poor)} of {len(fits)} models: " if len(fits) > 1 else ""
        warnings.warn(which + _words(*max(poor), chance), UserWarning, stacklevel=3)


def _words(error: float, loss: float, chance: float) -> str:
    return (
        f"training has not improved on chance: the error on its own labels is {error:.0%} (chance: {chance:.0%}), the "
        f"loss {loss:.2f}. Try a smaller learning_rate (None takes that of the recipe) or more epochs, and look at "
        "whether X and y belong together"
    )

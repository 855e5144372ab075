"""Signal detection: hits, false alarms, sensitivity d' and bias, from counts (Macmillan & Creelman, 2005).

With z the inverse of the normal distribution function, H the hit rate and F the false alarm rate:
    yes/no            d' = z(H) - z(F)               c = -(z(H) + z(F)) / 2
    two alternatives  d' = (z(H) - z(F)) / sqrt(2)   c = -(z(H) + z(F)) / 2, for the right-hand side
A rate of 0 or 1 has no z, so rates are taken as (k + 1/2) / (n + 1) (Hautus, 1995). Everything works on arrays, so a
bootstrap passes thousands of resamples at once.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

__all__ = ["accuracy_of_rates", "bias", "rate", "roc_area", "sensitivity", "sensitivity_of_three"]

Floats = NDArray[np.float64]


def rate(count: ArrayLike, total: ArrayLike) -> Any:
    """The share count / total; NaN where the total is 0.

    Example:
        >>> float(rate(3, 4))
        0.75
    """
    count, total = np.asarray(count, dtype=np.float64), np.asarray(total, dtype=np.float64)
    return np.divide(count, total, out=np.full(np.broadcast(count, total).shape, np.nan), where=total > 0)


def _z(count: ArrayLike, total: ArrayLike) -> Any:
    count, total = np.asarray(count, dtype=np.float64), np.asarray(total, dtype=np.float64)
    return np.where(total > 0, ndtri((count + 0.5) / (total + 1)), np.nan)


def sensitivity(
    hits: ArrayLike, signals: ArrayLike, false_alarms: ArrayLike, noises: ArrayLike, *, pairs: bool = False
) -> Any:
    """d': how far apart real and generated are for the judges; 0 is guessing. `pairs`: two-alternative trials.

    Example:
        >>> round(float(sensitivity(84, 100, 16, 100)), 2)
        1.96
    """
    difference = _z(hits, signals) - _z(false_alarms, noises)
    return difference / np.sqrt(2) if pairs else difference


@lru_cache(maxsize=1)
def _three_alternatives() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """D' and the share of right answers that it gives with three alternatives: E[Phi(x)^2], x ~ N(d', 1)."""
    grid = np.linspace(-4, 10, 1401)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    shares = (ndtr(grid[:, None] + nodes) ** 2 @ weights) / weights.sum()
    return grid, shares


def sensitivity_of_three(right: ArrayLike, total: ArrayLike) -> Any:
    """D' of a judge who picks the most generated-looking of three pictures, one of which is generated.

    The share of right answers is the integral of phi(x - d') Phi(x)^2 (Macmillan & Creelman, 2005, chapter 9).

    Example:
        >>> round(float(sensitivity_of_three(1000, 3000)), 2), round(float(sensitivity_of_three(634, 1000)), 1)
        (0.0, 1.0)
    """
    right, total = np.asarray(right, dtype=np.float64), np.asarray(total, dtype=np.float64)
    grid, shares = _three_alternatives()
    return np.where(total > 0, np.interp((right + 0.5) / (total + 1), shares, grid), np.nan)


def bias(hits: ArrayLike, signals: ArrayLike, false_alarms: ArrayLike, noises: ArrayLike) -> Any:
    """The criterion c: above 0, judges are slow to say "generated" (in pairs: to choose the right-hand picture).

    Example:
        >>> round(float(bias(60, 100, 20, 100)), 2)
        0.29
    """
    return -(_z(hits, signals) + _z(false_alarms, noises)) / 2


def accuracy_of_rates(hits: ArrayLike, signals: ArrayLike, false_alarms: ArrayLike, noises: ArrayLike) -> Any:
    """Correct share where signal and noise weigh the same: (H + 1 - F) / 2.

    At equal numbers this is the share of correct votes, the paper's figure; it stays comparable at any prevalence.

    Example:
        >>> round(float(accuracy_of_rates(9, 10, 30, 100)), 3)
        0.8
    """
    return (rate(hits, signals) + 1 - rate(false_alarms, noises)) / 2


def roc_area(noise_counts: ArrayLike, signal_counts: ArrayLike) -> Any:
    """Area under the ROC curve of ratings: the chance that a signal is rated higher than a noise, ties one half.

    Args:
        noise_counts: (..., levels), how often each level, lowest first, was given without the signal.
        signal_counts: (..., levels), the same with the signal.

    Example:
        >>> float(roc_area([2, 1, 0], [0, 1, 2]))
        0.9444444444444444
    """
    noise = np.asarray(noise_counts, dtype=np.float64)
    signal = np.asarray(signal_counts, dtype=np.float64)
    below = np.cumsum(noise, axis=-1) - noise / 2
    total = noise.sum(-1) * signal.sum(-1)
    return np.divide((signal * below).sum(-1), total, out=np.full(total.shape, np.nan), where=total > 0)

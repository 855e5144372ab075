"""The binomial distribution in log space, to nearly full float precision for any n (Loader, 2000).

    log P(k) = S(n) - S(k) - S(n - k) - D(k, n p) - D(n - k, n (1 - p)) + log sqrt(n / (2 pi k (n - k)))
    S(k)    = log k! - log(sqrt(2 pi k) (k/e)^k)       the error of Stirling's formula
    D(k, m) = k log(k/m) + m - k                       never negative

Sums of log-gamma would lose all but eleven digits at n = 10,000: they subtract numbers near 80,000.

Source: C. Loader, "Fast and accurate computation of binomial probabilities", 2000.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["binomial_log_probabilities"]

Floats = NDArray[np.float64]

_STIRLING_TABLE = np.array(
    [0.0] + [math.lgamma(k + 1) - (k + 0.5) * math.log(k) + k - 0.5 * math.log(2 * math.pi) for k in range(1, 16)]
)
_STIRLING_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)


def binomial_log_probabilities(num_draws: int, probability: ArrayLike) -> Floats:
    """Log P(k ones among n independent draws), for k = 0..n.

    Args:
        num_draws: n >= 1.
        probability: (...) probability p of a one in each draw, from 0 to 1.

    Returns:
        (..., n+1) the logarithms, in nats; -inf for probability 0.

    Raises:
        ValueError: n below 1 or a probability outside [0, 1].

    >>> print(np.exp(binomial_log_probabilities(2, 0.5)).round(12))
    [0.25 0.5  0.25]
    """
    p = np.asarray(probability, np.float64)[..., None]
    if num_draws < 1 or not np.all((p >= 0) & (p <= 1)):
        raise ValueError(
            f"num_draws >= 1 and probabilities from 0 to 1 are required; got {num_draws} and {probability!r}"
        )
    n, k = float(num_draws), np.arange(1.0, num_draws)
    stirling = _stirling_error(np.array([n])) - _stirling_error(k) - _stirling_error(n - k)
    scale = 0.5 * np.log(n / (2 * np.pi * k * (n - k)))
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = stirling + scale - _deviance(k, n * p) - _deviance(n - k, n * (1 - p))
        return np.concatenate([n * np.log1p(-p), inner, n * np.log(p)], axis=-1)


def _stirling_error(k: Floats) -> Floats:
    """S(k): a table up to 15, then the asymptotic series."""
    inverse = 1 / np.maximum(k, 16.0)
    series = inverse * np.polynomial.polynomial.polyval(inverse**2, _STIRLING_SERIES)
    return np.where(k < 16, _STIRLING_TABLE[np.minimum(k, 15).astype(int)], series)


def _deviance(k: Floats, mean: Floats) -> Floats:
    """D(k, m); near k = m by the series in s = (k - m)/(k + m), since its terms cancel there."""
    s = (k - mean) / (k + mean)
    tail = sum(s ** (2 * j + 1) / (2 * j + 1) for j in range(1, 11))
    near = (k - mean) * s + 2 * k * tail
    return np.where(np.abs(s) < 0.1, near, k * np.log(k / mean) + mean - k)

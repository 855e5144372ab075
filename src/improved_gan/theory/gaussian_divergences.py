"""KL, JS and the adversarial preference loss between one-dimensional Gaussians, by quadrature (see `divergences`).

    d[P || Q]               the integral of the divergence's terms over the line
    d(P x Q || Q x P)       the same over the plane

The terms are nonnegative and take log densities, so that far tails are exact.
"""

import numpy as np
from numpy.typing import NDArray

from improved_gan.theory.divergences import DivergenceTerms, jensen_shannon_terms

__all__ = ["gaussian_divergence", "gaussian_preference_divergence"]

Floats = NDArray[np.float64]


def gaussian_divergence(
    mean_p: float, std_p: float, mean_q: float, std_q: float, *, terms: DivergenceTerms = jensen_shannon_terms
) -> float:
    """d[P || Q] between two Gaussians on a line, in bits, by quadrature.

    Args:
        mean_p: mean of the data.
        std_p: standard deviation of the data, > 0.
        mean_q: mean of the generator.
        std_q: standard deviation of the generator, > 0.
        terms: `jensen_shannon_terms` or `kullback_leibler_terms`.

    Raises:
        ValueError: a standard deviation that is not positive.

    >>> from improved_gan.theory.divergences import kullback_leibler_terms
    >>> print(round(gaussian_divergence(0.0, 1.0, 1.0, 1.0, terms=kullback_leibler_terms) * np.log(2), 10))
    0.5
    """
    widths, log_p, log_q = _gaussians(mean_p, std_p, mean_q, std_q)
    return float(terms(widths * np.exp(log_p), widths * np.exp(log_q), log_p - log_q).sum())


def gaussian_preference_divergence(
    mean_p: float, std_p: float, mean_q: float, std_q: float, *, terms: DivergenceTerms = jensen_shannon_terms
) -> float:
    """d(P x Q || Q x P) between two Gaussians on a line, in bits, by quadrature; arguments as `gaussian_divergence`.

    >>> from improved_gan.theory.divergences import kullback_leibler_terms
    >>> print(round(gaussian_preference_divergence(0.0, 1.0, 1.0, 1.0, terms=kullback_leibler_terms) * np.log(2), 10))
    1.0
    """
    widths, log_p, log_q = _gaussians(mean_p, std_p, mean_q, std_q)
    p, q, log_ratio = widths * np.exp(log_p), widths * np.exp(log_q), log_p - log_q
    return float(terms(p[:, None] * q, q[:, None] * p, log_ratio[:, None] - log_ratio).sum())


def _gaussians(mean_p: float, std_p: float, mean_q: float, std_q: float) -> tuple[Floats, Floats, Floats]:
    """Weights of the quadrature and both log densities at its nodes.

    Ten Gauss-Legendre nodes between any two consecutive points mean + j std, |j| <= 12, of both Gaussians.
    """
    if not (std_p > 0 and std_q > 0):
        raise ValueError(f"std_p and std_q must be positive; got {std_p} and {std_q}")
    marks = np.arange(-12.0, 13.0)
    edges = np.unique(np.concatenate([mean_p + std_p * marks, mean_q + std_q * marks]))
    nodes, weights = np.polynomial.legendre.leggauss(10)
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half + half * nodes).ravel()
    log_p, log_q = (
        -0.5 * ((x - mean) / std) ** 2 - np.log(std * np.sqrt(2 * np.pi))
        for mean, std in ((mean_p, std_p), (mean_q, std_q))
    )
    return (half * weights).ravel(), log_p, log_q

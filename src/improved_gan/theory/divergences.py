"""The divergence of a GAN that discriminates whole minibatches (paper, section 3.2; F. Huszar's note on it, 2016).

P^N is the distribution of N independent draws from P. In bits,

    KL[P^N || Q^N] = N KL[P || Q]                         the objective does not change
    JS[P^N || Q^N] <= min(1, N JS[P || Q])                JS/N never increases with N: it saturates, and does so
                                                          first where Q is farthest from P
    preference loss: d(P x Q || Q x P)                    the input of D is a real and a generated example in random
                                                          order; for KL it is KL[P || Q] + KL[Q || P]

For Bernoulli draws the number of ones is a sufficient statistic of a minibatch, so the sums run over N + 1 counts and
not over 2^N minibatches. Both divergences are sums of nonnegative terms,

    KL = E_P phi(L),         phi(L) = e^-L - 1 + L,  L = log P/Q
    JS = E_M h(L),           h(L) = 1 bit - entropy of sigmoid(L),  M = (P + Q)/2,

so nothing cancels, however close P and Q are.

The binomial distribution is taken in log space, to nearly full float precision for any n (Loader, 2000):

    log P(k) = S(n) - S(k) - S(n - k) - D(k, n p) - D(n - k, n (1 - p)) + log sqrt(n / (2 pi k (n - k)))
    S(k)    = log k! - log(sqrt(2 pi k) (k/e)^k)       the error of Stirling's formula
    D(k, m) = k log(k/m) + m - k                       never negative

Sums of log-gamma would lose all but eleven digits at n = 10,000: they subtract numbers near 80,000.
(C. Loader, "Fast and accurate computation of binomial probabilities", 2000.)

Between one-dimensional Gaussians, d[P || Q] is the integral of the same terms over the line, d(P x Q || Q x P) over the
plane; they take log densities, so that far tails are exact.
"""

import math
from collections.abc import Callable
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "DivergenceTerms",
    "bernoulli_minibatch_divergence",
    "bernoulli_preference_divergence",
    "binomial_log_probabilities",
    "gaussian_divergence",
    "gaussian_preference_divergence",
    "jensen_shannon_terms",
    "kullback_leibler_terms",
]


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


# probabilities under P and under Q, log ratio -> the term of each outcome
DivergenceTerms = Callable[[Floats, Floats, Floats], Floats]

# phi(L) as a power series, for |L| < 1: sum over j >= 2 of (-L)^j / j!
_PHI = np.array([0.0, 0.0] + [(-1) ** j / factorial(j) for j in range(2, 22)])


def kullback_leibler_terms(p: ArrayLike, q: ArrayLike, log_ratio: ArrayLike) -> Floats:
    """The term of each outcome in KL[P || Q], in bits; the terms are >= 0 and their sum is the divergence.

    Args:
        p: (...) probability (or density times width) of each outcome under P.
        q: (...) the same under Q.
        log_ratio: (...) log p/q in nats, which is exact where p and q are too small for a float.

    Returns:
        (...) p phi(log p/q) = p log(p/q) + q - p; infinite where p > 0 = q, 0 where both are 0.

    >>> print(kullback_leibler_terms([0.5, 0.5], [0.25, 0.75], np.log([2.0, 2 / 3])).sum().round(6))
    0.207519
    """
    p, q, log_ratio = np.asarray(p, np.float64), np.asarray(q, np.float64), np.asarray(log_ratio, np.float64)
    with np.errstate(invalid="ignore"):
        far = q + p * (log_ratio - 1)
    near = p * np.polynomial.polynomial.polyval(np.clip(log_ratio, -1, 1), _PHI)
    return np.asarray(np.where(p == 0, q, np.where(np.abs(log_ratio) < 1, near, far)) / np.log(2))


def jensen_shannon_terms(p: ArrayLike, q: ArrayLike, log_ratio: ArrayLike) -> Floats:
    """The term of each outcome in JS[P || Q], in bits; the terms are >= 0 and their sum, at most 1, is the divergence.

    Args:
        p: (...) probability (or density times width) of each outcome under P.
        q: (...) the same under Q.
        log_ratio: (...) log p/q in nats.

    Returns:
        (...) (p log(p/m) + q log(q/m))/2 with m = (p + q)/2; 0 where p = q = 0.

    >>> print(jensen_shannon_terms([1.0, 0.0], [0.0, 1.0], [np.inf, -np.inf]).sum())
    1.0
    """
    p, q, log_ratio = np.asarray(p, np.float64), np.asarray(q, np.float64), np.asarray(log_ratio, np.float64)
    size = np.minimum(np.abs(np.where(p + q == 0, 0.0, log_ratio)), 700.0)  # e^-700 is 0 beside 1 in any float
    tanh = np.tanh(np.minimum(size, 1) / 2)
    near = tanh * size / 2 + np.log1p(-(tanh**2)) / 2
    far = np.log(2) - np.log1p(np.exp(-size)) - size / (1 + np.exp(size))
    return np.asarray((p + q) / 2 * np.where(size < 1, near, far) / np.log(2))


def bernoulli_minibatch_divergence(
    p: ArrayLike, q: ArrayLike, num_draws: int = 1, *, terms: DivergenceTerms = jensen_shannon_terms
) -> Floats:
    """d[P^N || Q^N] between minibatches of N Bernoulli draws, exactly, through the count distribution.

    Args:
        p: (...) probability of a one in the data, from 0 to 1.
        q: (...) the same for the generator, broadcast against p.
        num_draws: N, up to 10,000 and beyond (N + 1 numbers for each pair p, q).
        terms: `jensen_shannon_terms` or `kullback_leibler_terms`.

    Returns:
        (...) the divergence in bits.

    Raises:
        ValueError: fewer than one draw or a probability outside [0, 1].

    Source: Huszar's note, both figures: p = 0.2, N = 1, 2, 3, 8.

    >>> print([round(float(bernoulli_minibatch_divergence(0.2, 0.8, n)) / n, 3) for n in (1, 2, 3, 8)])
    [0.278, 0.23, 0.198, 0.111]
    """
    p, q = np.broadcast_arrays(np.asarray(p, np.float64), np.asarray(q, np.float64))
    log_p, log_q = binomial_log_probabilities(num_draws, p), binomial_log_probabilities(num_draws, q)
    ones = np.arange(num_draws + 1.0)
    with np.errstate(invalid="ignore"):  # 0 times infinity where p or q is 0 or 1: the term is 0
        of_one, of_zero = (ratio[..., None] for ratio in _log_ratios(p, q))
        log_ratio = np.where(ones == 0, 0.0, ones * of_one)
        log_ratio += np.where(ones == num_draws, 0.0, (num_draws - ones) * of_zero)
    return np.asarray(terms(np.exp(log_p), np.exp(log_q), log_ratio).sum(-1))


def bernoulli_preference_divergence(
    p: ArrayLike, q: ArrayLike, num_draws: int = 1, *, terms: DivergenceTerms = jensen_shannon_terms
) -> Floats:
    """d(P^N x Q^N || Q^N x P^N): D classifies which of a real and a generated minibatch is real.

    The difference of the two counts of ones is a sufficient statistic, so the sum runs over 2N + 1 differences.

    Args:
        p: (...) probability of a one in the data, strictly between 0 and 1.
        q: (...) the same for the generator, broadcast against p.
        num_draws: N; the time grows as N^2.
        terms: `jensen_shannon_terms` or `kullback_leibler_terms`.

    Returns:
        (...) the divergence in bits.

    Raises:
        ValueError: fewer than one draw or a probability that is not strictly between 0 and 1.

    >>> print(bernoulli_preference_divergence(0.2, 0.8).round(3))
    0.461
    """
    p, q = np.broadcast_arrays(np.asarray(p, np.float64), np.asarray(q, np.float64))
    if not np.all((p > 0) & (p < 1) & (q > 0) & (q < 1)):
        raise ValueError(f"p and q must be strictly between 0 and 1; got {p} and {q}")
    counts_p = np.exp(binomial_log_probabilities(num_draws, p)).reshape(-1, num_draws + 1)
    counts_q = np.exp(binomial_log_probabilities(num_draws, q)).reshape(-1, num_draws + 1)
    right = np.array([np.correlate(a, b, "full") for a, b in zip(counts_p, counts_q, strict=True)])
    difference = np.arange(-num_draws, num_draws + 1.0)
    of_one, of_zero = _log_ratios(p, q)
    log_ratio = difference * (of_one - of_zero).reshape(-1, 1)
    return np.asarray(terms(right, right[:, ::-1], log_ratio).sum(-1).reshape(p.shape))


def _log_ratios(p: Floats, q: Floats) -> tuple[Floats, Floats]:
    """(...) log p/q and log (1-p)/(1-q), by the relative difference where that is small, to avoid cancellation."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ones, zeros = (p - q) / q, (q - p) / (1 - q)
        return (
            np.where(np.abs(ones) < 0.5, np.log1p(ones), np.log(p) - np.log(q)),
            np.where(np.abs(zeros) < 0.5, np.log1p(zeros), np.log1p(-p) - np.log1p(-q)),
        )


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

"""Which of many statistics lie above or below 0, all statements together at 95%.

Each statistic has a standard error: that of resampled judges, but not below the one it would have if all answers were
independent, as judges who agree show little spread or none. It is told from 0 where its error is beyond the 95% point
of the largest of all errors: max-t, multivariate t with J - 1 degrees of freedom for the J judges behind a statistic
(Hothorn, Bretz & Westfall, 2008). Its correlations are those of the sum of both covariances, so that they are the
resamples' where these spread and those of independent answers where they do not. Degrees of freedom that differ are
made comparable by p-values (the smallest of all, instead of the largest error).

Or all answers about the pair are the same, and an exact sign test of them says so, at 5% over the number of pairs; of
each judge it takes as many answers as the judge with the fewest gave.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, t

__all__ = ["signs"]

Floats = NDArray[np.float64]
_LEVEL = 0.95
_NO_SPREAD = 1e-9
_DRAWS = 10_000  # of the smallest p-value


def signs(
    value: Floats, drawn: Floats, independent: Floats, counts: Floats, num_judges: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(P,): 1 or -1 where the statistic of a pair is above or below 0, else 0.

    Args:
        value: (P,), the statistics.
        drawn: (resamples, P), their values on resamples.
        independent: (P, P), their covariance if all answers were independent.
        counts: (J, P, 3), each judge's answers about each pair: first preferred, second, neither.
        num_judges: (P,), the judges that a statistic is known from; of fewer than two, nothing is said.
    """
    found = np.zeros(len(value), dtype=np.int64)
    known = num_judges >= 2
    if not known.any():
        return found
    value, counts, judges = value[known], counts[:, known], num_judges[known]
    inflation = np.sqrt(judges / (judges - 1))
    sampled = np.cov(drawn[:, known].T).reshape(len(value), -1) * np.outer(inflation, inflation)
    floor = independent[np.ix_(known, known)]
    std = np.sqrt(np.maximum(np.maximum(sampled.diagonal(), floor.diagonal()), _NO_SPREAD**2))
    p_values = 2 * t.sf(np.abs(value) / std, judges - 1)
    apart = p_values < _critical_p(sampled + floor, judges - 1)
    apart |= _p_of_agreement(counts, np.sign(value)) * len(num_judges) <= 1 - _LEVEL
    found[known] = np.sign(value) * (apart & (np.abs(value) > _NO_SPREAD))
    return found


def _critical_p(covariance: Floats, freedom: NDArray[np.int64]) -> float:
    """The 5% point of the smallest of all p-values if every statistic is 0 in truth."""
    std = np.sqrt(np.maximum(covariance.diagonal(), _NO_SPREAD**2))
    correlation = covariance / np.outer(std, std)
    generator = np.random.default_rng(0)
    normal = generator.multivariate_normal(np.zeros(len(std)), correlation, _DRAWS, method="eigh")
    uniform = generator.random(_DRAWS)
    smallest = np.ones(_DRAWS)
    for one in np.unique(freedom).tolist():
        largest = np.abs(normal[:, freedom == one]).max(-1) / np.sqrt(chi2.ppf(uniform, one) / one)
        smallest = np.minimum(smallest, 2 * t.sf(largest, one))
    return float(np.quantile(smallest, 1 - _LEVEL))


def _p_of_agreement(counts: Floats, sign: Floats) -> Floats:
    """(P,): two-sided p-value of a sign test where all answers about a pair are of the statistic's sign, else 1."""
    given = counts.sum(-1)
    agreed = np.where(sign > 0, counts[..., 0].sum(0), counts[..., 1].sum(0)) == given.sum(0)
    seen = given > 0
    fewest = np.where(seen, given, np.inf).min(0)
    worth = np.where(seen.sum(0) >= 2, seen.sum(0) * np.where(np.isfinite(fewest), fewest, 0), 0)
    return np.where(agreed & (worth > 0), np.minimum(1.0, 2.0 ** (1 - worth)), 1.0)

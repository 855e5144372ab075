"""Intervals that treat judges as clusters: a judge's votes resemble each other, so whole judges are resampled.

Bootstrap over judges, percentile interval with the expanded percentiles of Hesterberg (2015): for J judges the level
alpha/2 becomes Phi(-sqrt(J/(J-1)) t_{alpha/2, J-1}), which corrects the too narrow intervals that few judges give.
Resamples reach no further than the judges do, and all J lie on the same side of the median with probability 2^(1-J):
where that is more than alpha (fewer than six judges at 95%) the interval is the statistic -+ t_{alpha/2, J-1} standard
errors, sqrt(J/(J-1)) times the standard deviation of the resamples.
Where all judges agree entirely (no spread to resample) Wilson's interval over the votes stands in for it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, t

__all__ = ["Estimate", "cluster_bootstrap", "percentile_interval", "resampled", "wilson", "with_fallback"]

Floats = NDArray[np.float64]
RESAMPLES = 2000
_MOST_KEPT = 4_000_000  # weights of one size: 32 MB, and a report has a dozen sizes
_MOST_WEIGHTS = 20_000_000  # drawn at a time: 160 MB
_UNBOUNDED = (-float("inf"), float("inf"))


@lru_cache(maxsize=16)
def _weights(num_judges: int, resamples: int, seed: int) -> Floats:
    """(resamples, J): how often each judge is drawn; kept, as a report asks for the same ones many times."""
    return next(_drawn_weights(num_judges, resamples, seed))


def _drawn_weights(num_judges: int, resamples: int, seed: int) -> Iterator[Floats]:
    """The same in parts of as many rows as memory has room for."""
    generator, chances = np.random.default_rng(seed), np.full(num_judges, 1 / num_judges)
    rows = max(1, min(resamples, _MOST_WEIGHTS // num_judges))
    for start in range(0, resamples, rows):
        yield generator.multinomial(num_judges, chances, size=min(rows, resamples - start)).astype(np.float64)


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval; `low` and `high` are NaN where there is none (one judge)."""

    value: float
    low: float
    high: float

    def contains(self, truth: float) -> bool:
        """Whether the interval holds the true value."""
        return self.low <= truth <= self.high


def wilson(successes: int, total: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share of independent votes.

    Example:
        >>> low, high = wilson(1048, 2000)
        >>> round(low, 3), round(high, 3)
        (0.502, 0.546)
    """
    if total == 0:
        return float("nan"), float("nan")
    interval = binomtest(successes, total).proportion_ci(confidence_level=level, method="wilson")
    return float(interval.low), float(interval.high)


def cluster_bootstrap(
    counts: NDArray[np.int64] | Floats,
    statistic: Callable[[Floats], Floats],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    known_from: int | None = None,
    bounds: tuple[float, float] = _UNBOUNDED,
) -> Estimate:
    """A statistic of pooled counts, with an interval over judges.

    Args:
        counts: (J, S): for each judge the S sums that the statistic is made of.
        statistic: from pooled sums (..., S) to (...); NaN where it is not defined.
        level: of the interval.
        resamples: of the bootstrap.
        seed: the same data and seed give the same interval.
        known_from: judges that the spread is known from, where those are fewer than J: of two groups that are compared,
            the size of the smaller one. Default: J.
        bounds: smallest and largest value that the statistic can have.

    Returns:
        The statistic of all judges together and its interval; no interval (NaN) where fewer than two judges show the
        spread.

    Example:
        >>> right_of_ten = np.array([[6, 10], [5, 10], [7, 10], [4, 10], [6, 10]])
        >>> found = cluster_bootstrap(right_of_ten, lambda sums: sums[..., 0] / sums[..., 1])
        >>> found.value, found.low < 0.56 < found.high
        (0.56, True)
    """
    counts = np.asarray(counts, dtype=np.float64)
    num_judges = len(counts)
    value = float(statistic(counts.sum(0))) if num_judges else float("nan")
    known = num_judges if known_from is None else known_from
    if known < 2 or np.isnan(value):
        return Estimate(value, float("nan"), float("nan"))
    drawn = statistic(resampled(counts, resamples=resamples, seed=seed))
    return percentile_interval(value, drawn, known, level=level, bounds=bounds)


def resampled(counts: NDArray[np.int64] | Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """(resamples, S): the pooled sums of judges drawn with replacement, from (J, S) sums of each judge."""
    if resamples * len(counts) <= _MOST_KEPT:
        return np.asarray(_weights(len(counts), resamples, seed) @ counts)
    return np.concatenate([weights @ counts for weights in _drawn_weights(len(counts), resamples, seed)])


def percentile_interval(
    value: float, drawn: Floats, num_judges: int, *, level: float = 0.95, bounds: tuple[float, float] = _UNBOUNDED
) -> Estimate:
    """The interval (see above) from a statistic's values on resamples, NaN left out.

    Args:
        value: the statistic itself.
        drawn: (resamples,), its values on resamples.
        num_judges: judges that show the spread; fewer than two give no interval.
        level: of the interval.
        bounds: smallest and largest value that the statistic can have.
    """
    drawn = drawn[~np.isnan(drawn)]
    if num_judges < 2 or len(drawn) == 0:
        return Estimate(value, float("nan"), float("nan"))
    inflation = float(np.sqrt(num_judges / (num_judges - 1)))
    point = float(t.ppf((1 - level) / 2, num_judges - 1))
    if 2.0 ** (1 - num_judges) > 1 - level:
        half = -point * inflation * float(drawn.std()) if np.ptp(drawn) > 0 else 0.0
        return Estimate(value, max(bounds[0], value - half), min(bounds[1], value + half))
    tail = norm.cdf(inflation * point)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))


def with_fallback(found: Estimate, shares: list[tuple[float, float]]) -> Estimate:
    """Wilson's interval where resampled judges show no spread at all, as when everybody is always right.

    Args:
        found: the estimate, with an interval over judges or none.
        shares: the counts (successes, total) of shares whose mean the estimate is; half a success, of a tie, is rounded
            to both sides.
    """
    if found.low < found.high or np.isnan(found.low):
        return found
    lows = [wilson(int(np.floor(successes)), int(total))[0] for successes, total in shares]
    highs = [wilson(int(np.ceil(successes)), int(total))[1] for successes, total in shares]
    return Estimate(found.value, float(np.mean(lows)), float(np.mean(highs)))

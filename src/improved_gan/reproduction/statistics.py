"""Mean, standard deviation, and the difference from the paper's mean.

    z = (mean_ours - mean_paper) / sqrt(s_ours^2 / n_ours + s_paper^2 / n_paper)

Welch's statistic of the difference of means, with the paper's ten subsets for n_paper. With so few splits it follows
Student's t with the degrees of freedom of Welch and Satterthwaite, from which `p_value` is taken.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from improved_gan.reproduction.tables import Figure

__all__ = ["FORMULA", "Difference", "figure", "welch"]

FORMULA = "z = (ours - paper) / sqrt(s_ours^2 / n_ours + s_paper^2 / n_paper), Welch's; n_paper = 10"


@dataclass(frozen=True)
class Difference:
    """Difference of two means: z, its degrees of freedom, and the two-sided p-value."""

    z: float
    degrees: float
    p_value: float


def figure(values: Sequence[float]) -> Figure | None:
    """Mean and sample standard deviation (n - 1); a NaN standard deviation for one value, None for no values.

    >>> figure([1.0, 3.0])
    Figure(mean=2.0, std=1.4142135623730951, num=2)
    """
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Figure(mean, math.nan, 1)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return Figure(mean, math.sqrt(squares / (len(values) - 1)), len(values))


def welch(ours: Figure, paper: Figure) -> Difference | None:
    """Welch's statistic of two means; None if a standard deviation is missing or both are 0.

    >>> welch(Figure(93, 6.5), Figure(93, 6.5)).z
    0.0
    """
    parts = [one.std**2 / one.num for one in (ours, paper)]
    variance = sum(parts)
    if ours.num < 2 or paper.num < 2 or not variance > 0:
        return None
    from scipy import stats  # half a second to import

    z = (ours.mean - paper.mean) / math.sqrt(variance)
    degrees = variance**2 / sum(part**2 / (one.num - 1) for part, one in zip(parts, (ours, paper), strict=True))
    return Difference(z, degrees, float(2 * stats.t.sf(abs(z), degrees)))

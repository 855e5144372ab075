"""Agreement of judges about the same picture: Krippendorff's alpha for two categories, any number of judges a picture.

alpha = 1 - D_observed / D_expected: 1 is full agreement, 0 what guessing gives, below 0 is disagreement by rule.
Pictures with a single vote carry no information and are left out (Krippendorff, 2011).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from improved_gan.turing_test.intervals import wilson
from improved_gan.turing_test.votes import REAL, Votes

__all__ = ["PictureFigures", "krippendorff_alpha", "picture_figures"]


@dataclass(frozen=True)
class PictureFigures:
    """How often judges were wrong about one picture: a generated one that fools, a real one that is doubted."""

    picture: int
    model: str
    votes: int
    wrong: int
    rate: float
    low: float
    high: float


def picture_figures(votes: Votes) -> list[PictureFigures]:
    """Each judged picture's votes, most often misjudged first; a picture's interval is Wilson's over its votes.

    Votes whose picture is not known (an imported table without the column) are about no picture and are left out.
    """
    judged = zip(votes.picture, votes.model, votes.correct, strict=True)
    own = [(int(p), str(m), bool(c)) for p, m, c in judged if p >= 0]
    own += [(int(p), REAL, bool(c)) for p, c in zip(votes.partner, votes.correct, strict=True) if p >= 0]
    tally: dict[tuple[int, str], list[int]] = {}
    for picture, model, right in own:
        entry = tally.setdefault((picture, model), [0, 0])
        entry[0] += 1
        entry[1] += not right
    found = [PictureFigures(p, m, n, wrong, wrong / n, *wilson(wrong, n)) for (p, m), (n, wrong) in tally.items()]
    return sorted(found, key=lambda one: (-one.rate, -one.votes, one.picture))


def krippendorff_alpha(units: ArrayLike, values: ArrayLike) -> float:
    """Agreement of nominal values about units.

    Args:
        units: (N,), what each vote is about.
        values: (N,), what each vote says.

    Returns:
        alpha; NaN where no unit has two votes, or all votes say the same.

    Example:
        >>> krippendorff_alpha(["a", "a", "b", "b"], [0, 0, 1, 1])
        1.0
        >>> round(krippendorff_alpha(["a", "a", "b", "b"], [0, 1, 0, 1]), 2)
        -0.5
    """
    _, unit = np.unique(np.asarray(units), return_inverse=True)
    categories, value = np.unique(np.asarray(values), return_inverse=True)
    table = np.zeros((unit.max(initial=-1) + 1, len(categories)))
    np.add.at(table, (unit, value), 1)
    table = table[table.sum(1) >= 2]
    sizes, totals = table.sum(1), table.sum(0)
    n = sizes.sum()
    expected = n**2 - (totals**2).sum()
    if n == 0 or expected == 0:
        return float("nan")
    observed = ((sizes**2 - (table**2).sum(1)) / (sizes - 1)).sum()
    return float(1 - (n - 1) * observed / expected)

"""Do judges agree about the same picture? Krippendorff's alpha for two categories, any number of judges a picture.

alpha = 1 - D_observed / D_expected: 1 is full agreement, 0 what guessing gives, below 0 is disagreement by rule.
Pictures with a single vote say nothing and are left out (Krippendorff, 2011).
"""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["krippendorff_alpha"]


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

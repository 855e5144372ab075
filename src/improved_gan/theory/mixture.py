"""Mixtures of one-dimensional Gaussians: log density, score, samples.

    p(x) = sum_j w_j N(x; m_j, s_j^2),    p'(x)/p(x) = sum_j r_j(x) (m_j - x)/s_j^2,  r_j the responsibility of part j

Use: data and generator of the one-dimensional demonstrations.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Mixture"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """A mixture of one-dimensional Gaussians; weights must sum to 1.

    >>> print(Mixture((1.0,), (0.0,), (2.0,)).log_density([0.0, 2.0]).round(3))
    [-1.612 -2.112]
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the numbers of each part."""
        sizes = len(self.weights), len(self.means), len(self.stds)
        if len(set(sizes)) != 1 or abs(sum(self.weights) - 1) > 1e-9 or min(self.weights + self.stds) <= 0:
            raise ValueError(
                f"a mixture takes as many positive weights (of sum 1) as means and positive stds; got {self}"
            )

    def log_density(self, x: ArrayLike) -> Floats:
        """(...) the logarithm of the density at x (...), in nats; finite for any finite x."""
        return np.asarray(np.logaddexp.reduce(self._log_parts(x), axis=-1))

    def score(self, x: ArrayLike) -> Floats:
        """(...) the derivative of the log density at x (...)."""
        x, parts = np.asarray(x, np.float64)[..., None], self._log_parts(x)
        responsibilities = np.exp(parts - np.logaddexp.reduce(parts, axis=-1, keepdims=True))
        return np.asarray((responsibilities * (np.array(self.means) - x) / np.array(self.stds) ** 2).sum(-1))

    def sample(self, shape: tuple[int, ...], random: np.random.Generator) -> Floats:
        """Independent draws in an array of that shape."""
        part = random.choice(len(self.weights), shape, p=self.weights)
        return np.asarray(random.normal(np.array(self.means)[part], np.array(self.stds)[part]))

    def _log_parts(self, x: ArrayLike) -> Floats:
        """(..., parts) log of weight times density of each part."""
        means, stds = np.array(self.means), np.array(self.stds)
        z = (np.asarray(x, np.float64)[..., None] - means) / stds
        return np.asarray(np.log(self.weights) - np.log(stds) - 0.5 * np.log(2 * np.pi) - 0.5 * z**2)

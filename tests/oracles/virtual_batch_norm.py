"""Virtual batch normalization in plain NumPy float64: means and means of squares, as section 3.5 has them."""

import numpy as np
from numpy.typing import ArrayLike


def virtual_batch_norm(
    values: ArrayLike, reference: ArrayLike, weight: ArrayLike, bias: ArrayLike, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray]:
    """The normalized live batch and the normalized reference; (N, C, ...) and (n, C, ...)."""
    x, r = np.asarray(values, np.float64), np.asarray(reference, np.float64)
    x, r = x.reshape(*x.shape[:2], -1), r.reshape(*r.shape[:2], -1)
    weight, bias = (np.asarray(t, np.float64)[:, None] for t in (weight, bias))

    def normalized(example: np.ndarray, mean: np.ndarray, mean_of_squares: np.ndarray) -> np.ndarray:
        variance = mean_of_squares - mean**2
        return (example - mean[:, None]) / np.sqrt(variance + eps)[:, None] * weight + bias

    n, mean, squares = len(r), r.mean((0, 2)), (r**2).mean((0, 2))
    live = [normalized(e, (n * mean + e.mean(1)) / (n + 1), (n * squares + (e**2).mean(1)) / (n + 1)) for e in x]
    shape = np.asarray(values).shape
    return np.stack(live).reshape(shape), np.stack([normalized(e, mean, squares) for e in r]).reshape(-1, *shape[1:])

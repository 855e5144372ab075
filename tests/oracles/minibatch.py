"""Minibatch discrimination in plain NumPy float64, written from the formulas of section 3.2 and not from our code."""

import numpy as np
from numpy.typing import ArrayLike


def similarity(projections: ArrayLike, others: ArrayLike | None = None, *, include_self: bool = True) -> np.ndarray:
    """o(x_i)_b = sum_j exp(-||M_ib - M_jb||_1), the whole (N, M, B, C) tensor at once."""
    x = np.asarray(projections, np.float64)
    y = x if others is None else np.asarray(others, np.float64)
    similarities = np.exp(-np.abs(x[:, None] - y[None]).sum(-1))
    if not include_self:
        similarities[np.arange(len(x)), np.arange(len(x))] = 0
    return similarities.sum(1)


def similarity_gradient(projections: ArrayLike, weight: ArrayLike) -> np.ndarray:
    """The gradient of sum(weight * o) by the chain rule, pair by pair."""
    x, g = np.asarray(projections, np.float64), np.asarray(weight, np.float64)
    difference = x[:, None] - x[None]
    pull = np.exp(-np.abs(difference).sum(-1))[..., None] * np.sign(difference)
    return -np.einsum("ib,ijbc->ibc", g, pull) + np.einsum("ib,ijbc->jbc", g, pull)


def released_projection(features: ArrayLike, weight: ArrayLike, log_scale: ArrayLike) -> np.ndarray:
    """Each column V_bc scaled to length exp(s_bc)."""
    weight = np.asarray(weight, np.float64)
    columns = np.exp(np.asarray(log_scale, np.float64)) * weight / np.sqrt((weight**2).sum(0))
    return np.tensordot(np.asarray(features, np.float64), columns, 1)


def standard_deviation(features: ArrayLike, group: int, num_channels: int, eps: float = 1e-8) -> np.ndarray:
    """(N, F): for each example the mean over a part of its features of the standard deviation within its group."""
    x = np.asarray(features, np.float64)
    x = x.reshape(len(x), num_channels, -1)
    result = np.empty(x.shape[:2])
    for first in range(0, len(x), group):
        rows = x[first : first + group]
        result[first : first + group] = np.sqrt(rows.var(0) + eps).mean(1)
    return result

"""Near-duplicate rows: pairs within a distance, counted and merged piece by piece.

n equal rows make n (n - 1) / 2 pairs, so pairs are counted and only the nearest ones are kept.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.nearest_neighbors import Neighbors, distances_to, nearest

__all__ = ["NearDuplicates", "copy_distance", "distinct_neighbors", "near_duplicates"]

_KEPT = 1000
_ROWS = 2048
_COPY = 1e-6  # of the largest norm


class NearDuplicates(NamedTuple):
    """Near-duplicates among N rows."""

    num_pairs: int  # pairs within the distance
    first: Tensor  # (N,) int64 the lowest row of each row's group; a group is all that pairs connect
    pairs: Tensor  # (P, 2) int64 the nearest pairs i < j, nearest first, at most 1000


def near_duplicates(
    rows: Tensor,
    threshold: float,
    *,
    piece: int = _ROWS,
    advance: Callable[[float], object] = lambda fraction: None,
) -> NearDuplicates:
    """Pairs of rows (N, A) at most `threshold` apart, in memory of piece x piece distances.

    `advance` is called with the fraction of the work done since the last call.

    >>> near_duplicates(torch.tensor([[0.0], [5.0], [5.5], [6.0]]), 0.5)[:2]
    (2, tensor([0, 1, 1, 1]))
    """
    num_pairs, groups, blocks = 0, torch.arange(len(rows)), -(-len(rows) // piece)
    kept, pairs = torch.zeros(0, dtype=torch.float64), torch.zeros(0, 2, dtype=torch.int64)
    for i in range(0, len(rows), piece):
        for j in range(i, len(rows), piece):
            near, distances = _pairs_between(rows[i : i + piece], rows[j : j + piece], i, j, threshold)
            num_pairs += len(near)
            groups = _merged(groups, near)
            kept, pairs = _nearest(kept, pairs, distances, near)
            advance(2 / (blocks * (blocks + 1)))
    return NearDuplicates(num_pairs, _lowest(groups), pairs)


def copy_distance(rows: Tensor) -> float:
    """How far apart equal images may lie by rounding: 1e-6 of the largest norm of rows (N, A)."""
    squares = [float(rows[i : i + _ROWS].double().square().sum(1).max()) for i in range(0, len(rows), _ROWS)]
    return _COPY * math.sqrt(max(squares))


def distinct_neighbors(
    rows: Tensor, k: int = 1, *, advance: Callable[[float], object] = lambda fraction: None
) -> tuple[Neighbors, Tensor]:
    """The k nearest *different* rows of each, and the lowest row (N,) that is the same image.

    Copies count once: only rows that are their own lowest row are neighbors. `advance` is called with the fraction of
    the work done since the last call.

    Raises:
        MetricError: fewer than k + 1 different rows.

    >>> found, first = distinct_neighbors(torch.tensor([[0.0], [3.0], [3.0], [5.0]]))
    >>> found.distances[first == torch.arange(4), 0].tolist(), first.tolist()
    ([3.0, 2.0, 2.0], [0, 1, 1, 3])
    """

    def third(fraction: float) -> None:
        advance(fraction / 3)

    found = nearest(rows, rows, k, exclude_self=True, advance=third)
    numbers, threshold = torch.arange(len(rows)), copy_distance(rows)
    if float(found.distances[:, 0].min()) > threshold:
        advance(2 / 3)
        return found, numbers
    first = near_duplicates(rows, threshold, advance=third).first
    different = int((first == numbers).sum())
    if different <= k:
        raise MetricError(f"{k + 1} different images are needed; of {len(rows)} only {different} are not copies")
    return nearest(rows, rows, k, exclude_self=True, leave_out=first != numbers, advance=third), first


def _pairs_between(some: Tensor, others: Tensor, i: int, j: int, threshold: float) -> tuple[Tensor, Tensor]:
    """Pairs (P, 2) of rows of the whole, the first the lower, and their distances."""
    distances = distances_to(some, others)
    close = distances <= threshold
    if i == j:
        close = close.triu(1)
    near = close.nonzero()
    return near + torch.tensor([i, j]), distances[near[:, 0], near[:, 1]]


def _nearest(kept: Tensor, pairs: Tensor, distances: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest of those kept and the new ones; of equal ones those that came first."""
    if len(kept) == _KEPT:
        better = distances < kept[-1]
        distances, near = distances[better], near[better]
    if not len(near):
        return kept, pairs
    kept, pairs = torch.cat([kept, distances]), torch.cat([pairs, near])
    order = kept.argsort(stable=True)[:_KEPT]
    return kept[order], pairs[order]


def _merged(groups: Tensor, near: Tensor) -> Tensor:
    """The groups, with those joined that a pair connects."""
    links = groups[near]
    links = links[links[:, 0] != links[:, 1]]
    if not len(links):
        return groups
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(groups)
    graph = coo_matrix((np.ones(len(links)), tuple(links.T.numpy())), shape=(size, size))
    return torch.from_numpy(connected_components(graph, directed=False)[1]).long()[groups]


def _lowest(groups: Tensor) -> Tensor:
    """The lowest row of each row's group."""
    start = torch.full((len(groups),), len(groups), dtype=torch.int64)
    return start.scatter_reduce(0, groups, torch.arange(len(groups)), "amin")[groups]

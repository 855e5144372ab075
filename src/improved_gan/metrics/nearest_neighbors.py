"""Distances to the nearest rows, in pieces: for precision and recall, memorization and the birthday paradox test."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError

__all__ = ["Neighbors", "check_features", "distances_to", "nearest", "usable_rows"]

_ROWS = 2048
LARGEST = 1e70  # features beyond it are no features, and their products may leave float64


class Neighbors(NamedTuple):
    """The k nearest of N rows, nearest first."""

    distances: Tensor  # (N, k) float64
    indices: Tensor  # (N, k) int64


@torch.no_grad()
def nearest(
    queries: Tensor,
    points: Tensor,
    k: int = 1,
    *,
    exclude_self: bool = False,
    leave_out: Tensor | None = None,
    rows: int = _ROWS,
    advance: Callable[[float], object] = lambda fraction: None,
) -> Neighbors:
    """The k nearest points of each query, by Euclidean distance in float64.

    Args:
        queries: (N, A).
        points: (M, A).
        k: how many, 1 <= k <= M.
        exclude_self: queries are the points, and none is its own neighbor.
        leave_out: (M,) bool, points that are not taken as neighbors.
        rows: of a piece: memory is rows x rows distances.
        advance: called with the fraction of the work done since the last call.

    Raises:
        MetricError: shapes that do not fit, numbers that are not finite, k below 1, or fewer points than k.

    >>> nearest(torch.tensor([[0.0]]), torch.tensor([[5.0], [-3.0]])).indices.tolist()
    [[1]]
    """
    check_features(queries, points)
    if k < 1:
        raise MetricError(f"k, the number of nearest neighbors, must be at least 1; got {k}")
    left_out = torch.zeros(len(points), dtype=torch.bool) if leave_out is None else leave_out
    available = len(points) - int(left_out.sum()) - exclude_self
    if available < k:
        raise MetricError(f"{k} nearest neighbors need at least {k} other images; got {available}")
    parts = []
    for start, part in _pieces(queries, rows):
        parts.append(_nearest_of(part, start, points, k, exclude_self, left_out, rows))
        advance(len(part) / len(queries))
    return Neighbors(torch.cat([part.distances for part in parts]), torch.cat([part.indices for part in parts]))


def distances_to(queries: Tensor, points: Tensor) -> Tensor:
    """(N, A), (M, A) -> (N, M) Euclidean distances in float64, by way of the inner products."""
    queries, points = queries.double(), points.double()
    center = points.mean(0)  # nearer to 0 fewer digits are lost
    queries, points = queries - center, points - center
    squares = queries.square().sum(1)[:, None] + points.square().sum(1) - 2 * queries @ points.T
    return squares.clamp(min=0).sqrt()


def check_features(*features: Tensor) -> None:
    """All (N, A) with one A, and usable (`usable_rows`).

    Raises:
        MetricError: not so.
    """
    for one in features:
        if one.dim() != 2 or one.shape[1:] != features[0].shape[1:] or len(one) == 0:
            raise MetricError(f"features must be (N, A) with one A, N >= 1; got {[tuple(f.shape) for f in features]}")
        for _, part in _pieces(one, _ROWS):
            if not usable_rows(part).all():
                raise MetricError("the features hold NaN or infinity (or above 1e70): the network fails on some images")


def usable_rows(features: Tensor) -> Tensor:
    """(N, A) -> (N,) bool: whether all numbers of a row are finite, and at most 1e70.

    >>> usable_rows(torch.tensor([[1.0, 2.0], [1.0, torch.inf]])).tolist()
    [True, False]
    """
    return (features.double().abs() <= LARGEST).all(1)  # float32 would round the bound to infinity


def _nearest_of(
    part: Tensor, start: int, points: Tensor, k: int, exclude_self: bool, left_out: Tensor, rows: int
) -> Neighbors:
    best = torch.full((len(part), 0), 0.0, dtype=torch.float64)
    indices = torch.zeros(len(part), 0, dtype=torch.int64)
    for first, some in _pieces(points, rows):
        distances = distances_to(part, some)
        distances[:, left_out[first : first + rows]] = torch.inf
        if exclude_self:
            own = torch.arange(start, start + len(part)) - first
            inside = (own >= 0) & (own < len(some))
            distances[inside.nonzero().flatten(), own[inside]] = torch.inf
        here = torch.arange(first, first + len(some)).expand(len(part), -1)
        best, indices = torch.cat([best, distances], 1), torch.cat([indices, here], 1)
        best, chosen = best.topk(min(k, best.shape[1]), dim=1, largest=False, sorted=True)
        indices = indices.gather(1, chosen)
    return Neighbors(best, indices)


def _pieces(features: Tensor, rows: int) -> list[tuple[int, Tensor]]:
    return [(start, features[start : start + rows]) for start in range(0, len(features), rows)]

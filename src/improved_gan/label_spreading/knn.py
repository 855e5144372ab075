"""Nearest neighbors of many points, exact or approximate, and the principal components among which they are found.

Approximately (`approximate_neighbors`) each point is compared with those of the nearest cells. Cells are the nearest of
about sqrt(N) centers (k-means on a sample). A point's candidates are the members of the `num_probes` cells nearest to
its own center, so time grows with num_probes * N^1.5 and memory with N * k.

Source: Sivic and Zisserman, 2003, "Video Google" (inverted lists); Johnson, Douze and Jegou, 2017, section 4, for
nearest neighbors.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from improved_gan.optional_import import optional_import

__all__ = [
    "approximate_neighbors",
    "faiss_neighbors",
    "nearest_neighbors",
    "nearest_points",
    "parts_of",
    "principal_components",
]


_ROWS, _GROUP = 500, 64
_MOST = 4096
_WIDE = (torch.float64, torch.int64, torch.int32)  # have digits that float32 has not
_CANCELS = 1e-4  # |x - y|^2 / |x|^2 below which |x|^2 - 2 xy + |y|^2 has too few digits left in float32
_NUMBERS = 2**22  # values that are converted to float32 at a time


@torch.no_grad()
def principal_components(inputs: Tensor, num: int) -> Tensor:
    """(N, A...) examples -> (N, min(num, A)) coordinates along the directions of largest variance, the largest first.

    The examples, of any real dtype, are converted to float32 a part at a time, so a memory-mapped set is never held
    whole; float64 and wide integers are centered before, since what is left may be far smaller than the mean. Where A
    is above 4,096 the directions are those of at most 4,096 of the examples, evenly spaced.

    >>> principal_components(torch.tensor([[0.0, 0.0], [3.0, 0.1]]), 1).shape
    torch.Size([2, 1])
    """
    mean = sum((some.double().sum(0) for some in parts_of(inputs)), torch.zeros(())) / len(inputs)

    def centered(some: Tensor) -> Tensor:
        return (some.double() - mean).float() if some.dtype in _WIDE else some.float() - mean.float()

    if mean.numel() > _MOST:  # the covariance would not fit: eigenvectors of the Gram matrix of some examples instead
        some = centered(inputs[:: -(-len(inputs) // _MOST)].flatten(1))
        variances, weights = (found.flip(-1)[..., :num] for found in torch.linalg.eigh((some @ some.T).double()))
        kept = variances > 1e-6 * variances[0]  # float32 products
        directions = some.T @ (weights[:, kept] / variances[kept].sqrt()).float()
    else:
        products = (centered(some).T @ centered(some) for some in parts_of(inputs))
        covariance = sum((product.double() for product in products), torch.zeros(()))
        directions = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :num].float()
    return torch.cat([centered(some) @ directions for some in parts_of(inputs)])


@torch.no_grad()
def nearest_neighbors(points: Tensor, num: int) -> tuple[Tensor, Tensor]:
    """The nearest other points of each point, by squared Euclidean distance.

    Distances are never held for more than a few hundred points at once, and only the groups of columns with the
    smallest minima are searched, which is several times faster than a partial sort of whole rows.

    Args:
        points: (N, A) float32.
        num: k, 1 <= k < N.

    Returns:
        (N, k) int64 indices and (N, k) squared distances, nearest first.

    >>> nearest_neighbors(torch.tensor([[0.0], [1.0], [3.0]]), 1)[0].flatten()
    tensor([1, 0, 1])
    """
    number = len(points)
    groups = -(-number // _GROUP)
    squares = points.square().sum(1)
    columns = torch.nn.functional.pad(squares, (0, groups * _GROUP - number), value=torch.inf)
    transposed = torch.nn.functional.pad(points, (0, 0, 0, groups * _GROUP - number)).T.contiguous()
    indices, distances = [], []
    for first in range(0, number, _ROWS):
        own = torch.arange(first, min(first + _ROWS, number), device=points.device)
        # |x - y|^2 without |x|^2, which is the same along a row: the order does not change.
        table = torch.addmm(columns, points[own], transposed, alpha=-2)
        table[own - first, own] = torch.inf
        table = table.view(len(own), groups, _GROUP)
        best = table.amin(2).topk(min(num, groups), largest=False).indices
        some = table.gather(1, best[:, :, None].expand(-1, -1, _GROUP)).flatten(1)
        values, columns_in = some.topk(num, largest=False)
        indices.append(best.gather(1, columns_in // _GROUP) * _GROUP + columns_in % _GROUP)
        distances.append((values + squares[own, None]).clamp_min_(0))
    found, measured = torch.cat(indices), torch.cat(distances)
    close = (measured[:, -1] < _CANCELS * squares).nonzero().flatten()
    if len(close):
        numbers = torch.arange(number, device=points.device)
        found[close], measured[close] = _told_apart(points[close], points, num, close, numbers)
    return found, measured


@torch.no_grad()
def nearest_points(
    queries: Tensor, points: Tensor, num: int, *, own: Tensor | None = None, numbers: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The points that are nearest to each query, by squared Euclidean distance.

    Args:
        queries: (M, A) float32; the table of all M N distances is held at once.
        points: (N, A) float32.
        num: k, 1 <= k <= N.
        own: (M,) and
        numbers: (N,) int64: a point of the query's own number does not count; then k < N. None: all count.

    Returns:
        (M, k) int64 indices and (M, k) squared distances, nearest first.

    >>> nearest_points(torch.tensor([[2.5]]), torch.tensor([[0.0], [1.0], [3.0]]), 2)[0]
    tensor([[2, 1]])
    """
    squares = queries.square().sum(1)
    values, indices = _table(queries, points, own, numbers).topk(num, largest=False)
    distances = (values + squares[:, None]).clamp_min(0)
    close = (distances[:, -1] < _CANCELS * squares).nonzero().flatten()
    if len(close):
        of_them = None if own is None else own[close]
        indices[close], distances[close] = _told_apart(queries[close], points, num, of_them, numbers)
    return indices, distances


def _table(queries: Tensor, points: Tensor, own: Tensor | None, numbers: Tensor | None) -> Tensor:
    """|y|^2 - 2 xy: squared distances without |x|^2, which is the same along a row."""
    table = torch.addmm(points.square().sum(1), queries, points.T, alpha=-2)
    if own is not None and numbers is not None:
        table[own[:, None] == numbers] = torch.inf
    return table


def _told_apart(
    queries: Tensor, points: Tensor, num: int, own: Tensor | None, numbers: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`nearest_points` in float64, for queries that are nearer to points than float32 products can tell.

    Among some candidates by float32, and among all points where rounding may have left out one of the nearest.
    """
    count = min(len(points) - (own is not None), 4 * num + 16)
    indices = queries.new_empty(len(queries), num, dtype=torch.int64)
    distances = queries.new_empty(len(queries), num)
    largest, wide = points.square().sum(1).amax(), None
    for rows in torch.split(torch.arange(len(queries), device=queries.device), _ROWS // 4):
        some, of_them = queries[rows], None if own is None else own[rows]
        values, near = _table(some, points, of_them, numbers).topk(count, largest=False)
        exact = (some[:, None].double() - points[near].double()).square().sum(2)
        best, order = exact.topk(num, largest=False)
        indices[rows], distances[rows] = near.gather(1, order), best.float()
        squares = some.square().sum(1)
        uncertain = values[:, -1] + squares - 4e-6 * (squares + largest) < best[:, -1]
        if bool(uncertain.any()) and count < len(points) - (own is not None):
            wide = (points.double() - queries[0].double()) if wide is None else wide
            left, of_them = rows[uncertain], None if own is None else own[rows[uncertain]]
            shifted = queries[left].double() - queries[0].double()
            best, indices[left] = _table(shifted, wide, of_them, numbers).topk(num, largest=False)
            distances[left] = (best + shifted.square().sum(1, keepdim=True)).clamp_min(0).float()
    return indices, distances


def parts_of(inputs: Tensor) -> Iterator[Tensor]:
    """Parts of the examples, (n, A) each, that together hold all rows in order."""
    num = max(1, _NUMBERS // max(1, inputs[0].numel()))
    return (some.flatten(1) for some in torch.split(inputs, num))


_QUERIES = 4096  # points, or points of a cell, that are compared at a time
_SAMPLED = 64  # points a center in the sample of k-means
_ROUNDS = 8


@torch.no_grad()
def approximate_neighbors(points: Tensor, num: int, *, num_probes: int = 32, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The nearest other points of each point, by squared Euclidean distance; a few may be missed.

    Args:
        points: (N, A) float32.
        num: k, 1 <= k < N.
        num_probes: cells that are searched, its own among them.
        seed: of the sample and the first centers.

    Returns:
        (N, k) int64 indices and (N, k) squared distances, nearest first.

    Source: Johnson et al., 2017, section 4.

    >>> approximate_neighbors(torch.tensor([[0.0], [1.0], [3.0]]), 1)[0].flatten()
    tensor([1, 0, 1])
    """
    centers = _centers(points, max(1, round(len(points) ** 0.5)), seed)
    cells = torch.cat([_nearest(some, centers) for some in torch.split(points, _QUERIES)])
    order = cells.argsort(stable=True)
    counts = torch.bincount(cells, minlength=len(centers))
    members = list(torch.split(order, counts.tolist()))
    between = torch.cdist(centers.double(), centers.double()).argsort(1)
    indices = torch.empty(len(points), num, dtype=torch.int64)
    distances = torch.empty(len(points), num)
    for cell, own in enumerate(members):
        near = _members_near(members, between[cell].tolist(), num_probes, at_least=num + 1)
        for rows in torch.split(own, _QUERIES):
            indices[rows], distances[rows] = _among(points, rows, near, num)
    return indices, distances


def _centers(points: Tensor, num: int, seed: int) -> Tensor:
    """k-means on a sample: (num, A); a center that no point is nearest to stays where it is."""
    shuffled = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    sample = points[shuffled[: num * _SAMPLED]]
    centers = sample[:num].clone()
    for _ in range(_ROUNDS):
        cells = torch.cat([_nearest(some, centers) for some in torch.split(sample, _QUERIES)])
        counts = torch.bincount(cells, minlength=num)[:, None]
        sums = torch.zeros_like(centers).index_add_(0, cells, sample)
        centers = torch.where(counts > 0, sums / counts.clamp_min(1), centers)
    return centers


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    wide = centers.double()
    return torch.addmm(wide.square().sum(1), points.double(), wide.T, alpha=-2).argmin(1)


def _members_near(members: list[Tensor], nearest: list[int], num_probes: int, *, at_least: int) -> Tensor:
    """The members of the nearest cells, of more than `num_probes` where they are few."""
    chosen, count = [], 0
    for probe, cell in enumerate(nearest):
        if probe >= num_probes and count >= at_least:
            break
        chosen.append(members[cell])
        count += len(members[cell])
    return torch.cat(chosen)


def _among(points: Tensor, rows: Tensor, near: Tensor, num: int) -> tuple[Tensor, Tensor]:
    origin = points[rows].mean(0)  # the cell's: far from it, products of float32 would cancel
    queries, others = points[rows] - origin, points[near] - origin
    columns, distances = nearest_points(queries, others, num, own=rows, numbers=near)
    return near[columns], distances


def faiss_neighbors(points: Tensor, num: int) -> tuple[Tensor, Tensor]:
    """`approximate_neighbors` by the library faiss.

    Raises:
        ImportError: it is not installed.
    """
    faiss, values = optional_import("faiss"), points.numpy()
    cells = max(1, round(len(points) ** 0.5))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(values.shape[1]), values.shape[1], cells)
    index.train(values)
    index.add(values)
    index.nprobe = 16
    distances, found = index.search(values, num + 1)
    own = found == np.arange(len(values))[:, None]
    own[~own.any(1), -1] = True  # the point itself may be missing among equal ones
    shape = (len(values), num)
    indices, squares = found[~own].reshape(shape), distances[~own].reshape(shape)
    missing = indices < 0  # fewer found: the nearest again
    indices, squares = np.where(missing, indices[:, :1], indices), np.where(missing, squares[:, :1], squares)
    return torch.from_numpy(indices), torch.from_numpy(squares)

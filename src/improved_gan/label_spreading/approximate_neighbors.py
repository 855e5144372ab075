"""Nearest neighbors of many points, approximately: each point is compared with those of the nearest cells.

Cells are the nearest of about sqrt(N) centers (k-means on a sample). A point's candidates are the members of the
`num_probes` cells nearest to its own center, so time grows with num_probes * N^1.5 and memory with N * k.

Source: Sivic and Zisserman, 2003, "Video Google" (inverted lists); Johnson, Douze and Jegou, 2017, section 4, for
nearest neighbors.
"""

import torch
from torch import Tensor

__all__ = ["approximate_neighbors"]

_ROWS = 4096  # points, or points of a cell, that are compared at a time
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
    cells = torch.cat([_nearest(some, centers) for some in torch.split(points, _ROWS)])
    order = cells.argsort(stable=True)
    counts = torch.bincount(cells, minlength=len(centers))
    members = list(torch.split(order, counts.tolist()))
    between = torch.cdist(centers, centers).argsort(1)
    indices = torch.empty(len(points), num, dtype=torch.int64)
    distances = torch.empty(len(points), num)
    for cell, own in enumerate(members):
        near = _members_near(members, between[cell].tolist(), num_probes, at_least=num + 1)
        for rows in torch.split(own, _ROWS):
            indices[rows], distances[rows] = _among(points, rows, near, num)
    return indices, distances


def _centers(points: Tensor, num: int, seed: int) -> Tensor:
    """k-means on a sample: (num, A); a center that no point is nearest to stays where it is."""
    shuffled = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    sample = points[shuffled[: num * _SAMPLED]]
    centers = sample[:num].clone()
    for _ in range(_ROUNDS):
        cells = torch.cat([_nearest(some, centers) for some in torch.split(sample, _ROWS)])
        counts = torch.bincount(cells, minlength=num)[:, None]
        sums = torch.zeros_like(centers).index_add_(0, cells, sample)
        centers = torch.where(counts > 0, sums / counts.clamp_min(1), centers)
    return centers


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    return torch.addmm(centers.square().sum(1), points, centers.T, alpha=-2).argmin(1)


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
    some = points[near]
    table = torch.addmm(some.square().sum(1), points[rows], some.T, alpha=-2)
    table[rows[:, None] == near] = torch.inf
    values, columns = table.topk(num, largest=False)
    return near[columns], (values + points[rows].square().sum(1, keepdim=True)).clamp_min(0)

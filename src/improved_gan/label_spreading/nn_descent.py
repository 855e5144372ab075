"""NN-descent: nearest neighbors by a distance that is too expensive for all pairs.

It starts from a list of candidates for each example. Every round measures the distances to the neighbors of its
neighbors, in both directions, that were not measured before. With candidates by a cheap, similar distance a few rounds
find nearly all nearest neighbors.

Source: Dong, Charikar and Li, 2011, "Efficient k-nearest neighbor graph construction for generic similarity measures".
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["nn_descent"]

_ROWS = 4096
_NEAR = 8  # neighbors, in each direction, whose neighbors are candidates
_KEPT = 128  # measured candidates that are kept, so that they are not measured again
_CONVERGED = 0.002  # a round that changes a smaller fraction of the lists is the last one

Distance = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def nn_descent(distance: Distance, start: Tensor, num: int, *, num_rounds: int = 3) -> tuple[Tensor, Tensor]:
    """The nearest other examples of each example, approximately: a few may be missed.

    Args:
        distance: of pairs, (P,) and (P,) indices -> (P,) float32.
        start: (N, k) int64 indices of candidates, k >= num, all different, without the example itself.
        num: how many to find, >= 1.
        num_rounds: the largest number of rounds.

    Returns:
        (N, num) int64 indices and (N, num) float32 distances, nearest first.

    >>> line = torch.tensor([0.0, 1.0, 2.1, 3.3, 4.6])
    >>> distance = lambda first, second: (line[first] - line[second]).abs()
    >>> nn_descent(distance, torch.tensor([[1], [2], [3], [4], [0]]), 1)[0].flatten()
    tensor([1, 0, 1, 2, 3])
    """
    number, first = start.shape
    own = torch.arange(number, device=start.device)
    values = distance(own.repeat_interleave(first), start.flatten()).reshape(number, first)
    values, order = values.sort(1)
    lists = start.gather(1, order)
    for _ in range(num_rounds):
        before = lists[:, :num]
        around = _both_ways(lists[:, :_NEAR])
        parts = [_extended(distance, lists[some], values[some], around, some, num) for some in torch.split(own, _ROWS)]
        wide = max(part[0].shape[1] for part in parts)
        lists = torch.cat([_filled(part[0], wide, -1) for part in parts])
        values = torch.cat([_filled(part[1], wide, torch.inf) for part in parts])
        if bool((lists[:, :num] != before).float().mean() < _CONVERGED):
            break
    return lists[:, :num].contiguous(), values[:, :num].contiguous()


def _both_ways(near: Tensor) -> Tensor:
    """(N, k) neighbors -> (N, k + _NEAR) neighbors and some reverse neighbors; -1 where there are fewer.

    Reverse neighbors are sampled at random: the nearest are mostly neighbors already, and the first in the data may
    all be of one class.
    """
    number, num = near.shape
    shuffled = torch.randperm(near.numel(), generator=torch.Generator().manual_seed(number)).to(near.device)
    to, order = near.flatten()[shuffled].sort(stable=True)
    order = shuffled[order]
    by = torch.arange(number, device=near.device).repeat_interleave(num)[order]
    by, to = by[to >= 0], to[to >= 0]
    column = torch.arange(len(to), device=near.device) - torch.searchsorted(to, to)
    back = torch.full((number, _NEAR), -1, device=near.device)
    few = column < _NEAR
    back[to[few], column[few]] = by[few]
    return torch.cat([near, back], 1)


def _extended(
    distance: Distance, lists: Tensor, values: Tensor, around: Tensor, rows: Tensor, num: int
) -> tuple[Tensor, Tensor]:
    """The neighbor lists of some rows and their distances, extended by the neighbors of neighbors."""
    via = around[rows]
    candidates = torch.where(via[:, :, None] >= 0, around[via], -1).flatten(1)
    candidates = torch.cat([via, candidates], 1).sort(1).values
    new = (candidates >= 0) & (candidates != rows[:, None])
    new[:, 1:] &= candidates[:, 1:] != candidates[:, :-1]
    known = lists.sort(1).values
    found = torch.searchsorted(known, candidates).clamp_max_(known.shape[1] - 1)
    new &= known.gather(1, found) != candidates
    row, column = new.nonzero(as_tuple=True)
    measured = torch.full(candidates.shape, torch.inf, device=values.device)
    measured[row, column] = distance(rows[row], candidates[row, column])
    lists, values = torch.cat([lists, candidates.where(new, -1)], 1), torch.cat([values, measured], 1)
    values, order = values.topk(min(max(_KEPT, num), values.shape[1]), largest=False)
    return lists.gather(1, order), values


def _filled(part: Tensor, wide: int, filler: float) -> Tensor:
    return torch.nn.functional.pad(part, (0, wide - part.shape[1]), value=filler)

"""Nearest neighbors by a distance that is too dear for all pairs: those of neighbors are tried, again and again.

From a first list for each example on, every round measures the neighbors of its neighbors, in both directions, that
were not yet measured. With a list from a cheap distance like the dear one a few rounds find nearly all.

Source: Dong, Charikar and Li, 2011, "Efficient k-nearest neighbor graph construction for generic similarity measures".
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["nn_descent"]

_ROWS = 4096
_NEAR = 8  # neighbors, each way, whose neighbors are tried
_KEPT = 128  # of what was measured, so as not to measure it again
_SETTLED = 0.002  # a round that changes a smaller share of the lists is the last one

Distance = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def nn_descent(distance: Distance, start: Tensor, num: int, *, num_rounds: int = 3) -> tuple[Tensor, Tensor]:
    """The nearest other examples of each, but for a few that are missed.

    Args:
        distance: of pairs, (P,) and (P,) positions -> (P,) float32, smaller for nearer.
        start: (N, k) int64 positions of likely neighbors, k >= num, none twice in a row nor the example itself.
        num: how many to find, >= 1.
        num_rounds: at most so many.

    Returns:
        (N, num) int64 positions and (N, num) float32 distances, nearest first.

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
        if bool((lists[:, :num] != before).float().mean() < _SETTLED):
            break
    return lists[:, :num].contiguous(), values[:, :num].contiguous()


def _both_ways(near: Tensor) -> Tensor:
    """(N, k) neighbors -> (N, k + _NEAR) them and some of those that have them; -1 where there are fewer.

    Some at random: the nearest are mostly neighbors themselves, and the first in the data may be all of one kind.
    """
    number, num = near.shape
    mixed = torch.randperm(near.numel(), generator=torch.Generator().manual_seed(number)).to(near.device)
    to, order = near.flatten()[mixed].sort(stable=True)
    order = mixed[order]
    by = torch.arange(number, device=near.device).repeat_interleave(num)[order]
    by, to = by[to >= 0], to[to >= 0]
    place = torch.arange(len(to), device=near.device) - torch.searchsorted(to, to)
    back = torch.full((number, _NEAR), -1, device=near.device)
    few = place < _NEAR
    back[to[few], place[few]] = by[few]
    return torch.cat([near, back], 1)


def _extended(
    distance: Distance, lists: Tensor, values: Tensor, around: Tensor, rows: Tensor, num: int
) -> tuple[Tensor, Tensor]:
    """The lists of some rows and their distances, with the neighbors of neighbors among them."""
    via = around[rows]
    tried = torch.where(via[:, :, None] >= 0, around[via], -1).flatten(1)
    tried = torch.cat([via, tried], 1).sort(1).values
    new = (tried >= 0) & (tried != rows[:, None])
    new[:, 1:] &= tried[:, 1:] != tried[:, :-1]
    known = lists.sort(1).values
    place = torch.searchsorted(known, tried).clamp_max_(known.shape[1] - 1)
    new &= known.gather(1, place) != tried
    at, column = new.nonzero(as_tuple=True)
    dear = torch.full(tried.shape, torch.inf, device=values.device)
    dear[at, column] = distance(rows[at], tried[at, column])
    lists, values = torch.cat([lists, tried.where(new, -1)], 1), torch.cat([values, dear], 1)
    values, order = values.topk(min(max(_KEPT, num), values.shape[1]), largest=False)
    return lists.gather(1, order), values


def _filled(part: Tensor, wide: int, filler: float) -> Tensor:
    return torch.nn.functional.pad(part, (0, wide - part.shape[1]), value=filler)

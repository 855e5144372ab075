"""Gaussian noise for the price of two reads: the sum of two slices of a fixed table, at random offsets.

    e_i = T[a + i] + T[b + i],   T ~ N(0, 1/2), a uniform over the first half of the table, b over the second

Within a draw the two slices never overlap, so its numbers are independent N(0, 1), as far as a fixed table allows. The
same pair (a, b) returns about once in 4e12 draws. Two draws whose slices overlap are correlated, by half of their
variance, between different positions. Drawing is 10 to 20 times as fast as `torch.randn`. Randomness comes from
`kernels.random_source` or PyTorch's own random state alone, so a resumed run draws the same.
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from improved_gan.kernels.random_source import source
from improved_gan.kernels.vmap_fallback import uses_reference_ops

__all__ = ["LARGEST", "add_normal", "draw_slices"]

_LENGTH = 2**22
LARGEST = _LENGTH // 4  # numbers in a draw: leaves a million offsets for each slice


def add_normal(values: Tensor, std: float) -> Tensor:
    """`values` + std e, with e ~ N(0, 1); (N, ...) -> (N, ...), a new tensor of the same dtype."""
    elsewhere = values.device.type != "cpu" or uses_reference_ops()
    if elsewhere or values.dtype not in (torch.float32, torch.bfloat16) or values.numel() > LARGEST:
        return torch.add(values, _drawn_like(values), alpha=std)
    (first, second), *_ = draw_slices([values.numel()], values.dtype)
    noisy = torch.add(values, first.view(values.shape), alpha=std)
    return noisy.add_(second.view(values.shape), alpha=std)


def draw_slices(
    counts: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu"
) -> list[tuple[Tensor, Tensor]]:
    """For each count two slices (count,) whose sum is N(0, 1) noise: from the table on a CPU, else drawn."""
    if torch.device(device).type != "cpu" or max(counts) > LARGEST:
        own = source(device)
        drawn = (torch.randn(2, n, generator=own, dtype=dtype, device=device).mul_(0.5**0.5) for n in counts)
        return [(pair[0], pair[1]) for pair in drawn]
    table, half = _table(dtype), _LENGTH // 2
    offsets = torch.randint(2**62, (2 * len(counts),), generator=source()).tolist()
    pairs = zip(counts, offsets[::2], offsets[1::2], strict=True)
    return [
        (table.narrow(0, a % (half - count), count), table.narrow(0, half + b % (half - count), count))
        for count, a, b in pairs
    ]


def _drawn_like(values: Tensor) -> Tensor:
    own = source(values.device)
    return torch.randn_like(values) if own is None else torch.empty_like(values).normal_(generator=own)


@cache
def _table(dtype: torch.dtype) -> Tensor:
    """(4194304,) of N(0, 1/2), the same in every process; each half scaled to exactly that mean and variance."""
    numbers = torch.randn(2, _LENGTH // 2, generator=torch.Generator().manual_seed(2016), dtype=torch.float64)
    numbers = (numbers - numbers.mean(1, keepdim=True)) / numbers.std(1, correction=0, keepdim=True)
    return numbers.mul_(0.5**0.5).flatten().to(dtype)

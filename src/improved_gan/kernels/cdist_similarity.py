"""The sums of `l1_similarity` through torch.cdist: a few large operations in place of many small ones.

    d_ij = ||x_i - y_j||_1,  c_ij = exp(-d_ij)       for some kernels and rows at a time
    o_i  = sum_j c_ij,   dx_i = -sum_j g_i c_ij sign(x_i - y_j),   dy_j = -sum_i g_i c_ij sign(y_j - x_i)

For several CPU threads: each operation ends when its last thread does, and on a busy machine that wait, repeated many
thousand times, costs more than the arithmetic. Memory is O((N + M) B C) plus the distances of one piece.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["gradient", "similarity"]

_PAIRS = 2**22  # distances in a piece: enough kernels at a time to keep every thread busy


def similarity(x: Tensor, y: Tensor, skip: int) -> Tensor:
    """O (B, N) for x (B, N, C) and y (B, M, C); pairs (i, i + skip) are left out, -1 leaves out nothing.

    >>> similarity(torch.zeros(1, 2, 1), torch.zeros(1, 3, 1), -1)
    tensor([[3., 3.]])
    """
    result = x.new_empty(x.shape[:2])
    for kernels, rows in _pieces(x, y):
        close = torch.cdist(x[kernels, rows], y[kernels], p=1).neg_().exp_()
        torch.threshold_(close, torch.finfo(x.dtype).tiny, 0.0)  # subnormal numbers would slow the sums
        result[kernels, rows] = _without_self(close, skip, rows).sum(2)
    return result


def gradient(weight: Tensor, x: Tensor, y: Tensor, skip: int) -> tuple[Tensor, Tensor]:
    """The gradients of x and of y for a weight (B, N) on o; all of it in the first where y is x."""
    to_x, to_y = torch.empty_like(x), torch.zeros_like(y)
    for kernels, rows in _pieces(x, y):
        left, right = x[kernels, rows].contiguous(), y[kernels]
        distance = torch.cdist(left, right, p=1)
        # Where y is x, an example is the row of one pair and the column of another: both weights count.
        factor = weight[kernels, rows, None] + (weight[kernels, None] if x is y else 0)
        factor = _without_self((-distance).exp_().mul_(factor), skip, rows)
        to_x[kernels, rows] = torch.ops.aten._cdist_backward(factor, left, right, 1.0, distance).neg_()
        if x is not y:
            transposed = [t.transpose(1, 2).contiguous() for t in (factor, distance)]
            to_y[kernels] -= torch.ops.aten._cdist_backward(transposed[0], right, left, 1.0, transposed[1])
    return to_x, to_y


def _pieces(x: Tensor, y: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of kernels and rows that have at most `_PAIRS` pairs with all columns."""
    rows = max(1, min(x.shape[1], _PAIRS // y.shape[1]))
    kernels = max(1, _PAIRS // (rows * y.shape[1]))
    for k in range(0, x.shape[0], kernels):
        for i in range(0, x.shape[1], rows):
            yield slice(k, k + kernels), slice(i, i + rows)


def _without_self(close: Tensor, skip: int, rows: slice) -> Tensor:
    offset = rows.start + skip
    if skip >= 0 and offset < close.shape[2]:
        close.diagonal(offset, 1, 2).zero_()
    return close

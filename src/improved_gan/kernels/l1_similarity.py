"""o_ib = sum_j exp(-||x_ib - y_jb||_1) in tiles: the sum behind minibatch discrimination (paper, section 3.2).

    c_ijb = exp(-sum_c |x_ibc - y_jbc|),  s_ijbc = sign(x_ibc - y_jbc)
    o_ib  = sum_j c_ijb                                                   similarity
    dx_ibc = -sum_j g_ib c_ijb s_ijbc,   dy_jbc = sum_i g_ib c_ijb s_ijbc       its gradient for a weight g on o

One tile of the differences exists at a time, sized for the processor's cache and recomputed for each derivative, so
memory is O((N + M) B C) plus a tile. Where y is x, c_ij = c_ji: half of the tiles give both. As custom operators a call
is one node for torch.compile, and the gradient can be differentiated once more. A graph that is exported has plain
operations instead, which ONNX knows.

With several CPU threads torch.cdist does the same in a few large operations: each operation ends when its last thread
does, and on a busy machine that wait, repeated many thousand times, costs more than the arithmetic. Memory is then
O((N + M) B C) plus the distances of one piece.

All but the smallest batches on a processor with a C++ compiler go to `compiled_similarity` instead.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels import compiled_similarity

__all__ = ["l1_similarity"]

_CDIST_PAIRS = 2**22  # distances in a piece: enough kernels at a time to keep every thread busy
_ROWS, _COLUMNS = 64, 256  # of a block of pairs, at most: rows long enough for vector instructions
_TILE_NUMBERS = {"cpu": 2**18, "cuda": 2**25}  # differences x_ibc - y_jbc in a tile; two tiles fit in a core's cache


def l1_similarity(rows: Tensor, columns: Tensor | None = None, *, skip: int | None = None) -> Tensor:
    """For each example of `rows` and each kernel, the summed similarity to all examples of `columns`.

    Args:
        rows: (N, B, C) in float32 or float64.
        columns: (M, B, C) likewise; None for `rows` themselves.
        skip: leave out the pairs (i, i + skip): an example and itself; None leaves out nothing.

    Returns:
        (N, B) similarities, differentiable twice.

    Source: paper, section 3.2.

    >>> l1_similarity(torch.tensor([[[0.0]], [[1.0]]]))
    tensor([[1.3679],
            [1.3679]])
    """
    if torch.compiler.is_exporting():
        return _plain_similarity(rows, rows if columns is None else columns, skip)
    result: Tensor = _similarity(rows, columns, -1 if skip is None else skip)
    return result


def _plain_similarity(rows: Tensor, columns: Tensor, skip: int | None) -> Tensor:
    """All pairs at once, in operations that every exporter knows."""
    similarity = (rows[:, None] - columns[None]).abs().sum(3).neg().exp()  # (N, M, B)
    if skip is not None:
        own = torch.arange(len(rows), device=rows.device)[:, None] + skip
        others = torch.arange(len(columns), device=rows.device) != own
        similarity = similarity * others[:, :, None].to(similarity.dtype)
    return similarity.sum(1)


@torch.library.custom_op("improved_gan::l1_similarity", mutates_args=())
def _similarity(rows: Tensor, columns: Tensor | None, skip: int) -> Tensor:
    if compiled_similarity.takes(rows, columns, skip):
        return compiled_similarity.similarity(rows, columns, skip)
    if _has_threads(rows):
        x, y = _kernels_first(rows, columns, examples_last=False)
        return _cdist_similarity(x, y, skip).t().contiguous()
    x, y = _kernels_first(rows, columns)
    to_x, to_y = _pair(x.new_zeros(x.shape[0], x.shape[2]), x is y, y.shape[2])
    buffer = _buffer(x)
    for i, j, kernels in _blocks(x, y):
        views = (x[..., i, None], y[..., None, j], to_x[:, i], to_y[:, j])
        for left, right, to_rows, to_columns in _pieces(kernels, *views):
            similarity = _into(buffer, left, right).abs_().sum(1).neg_().exp_()
            torch.threshold_(similarity, torch.finfo(x.dtype).tiny, 0.0)  # subnormal numbers would slow the sums
            _leave_out(similarity, skip, i, j)
            to_rows += similarity.sum(2)
            if x is y and i != j:
                to_columns += similarity.sum(1)
    return to_x.t().contiguous()


@torch.library.custom_op("improved_gan::l1_similarity_gradient", mutates_args=())
def _gradient(weight: Tensor, rows: Tensor, columns: Tensor | None, skip: int) -> tuple[Tensor, Tensor]:
    """For dL/do = `weight` (N, B): the gradients of rows and of columns (empty where columns are rows)."""
    if compiled_similarity.takes(rows, columns, skip):
        to_x, to_columns = compiled_similarity.gradient(weight, rows, columns, skip)
        return to_x, _no_rows(rows) if to_columns is None else to_columns
    if _has_threads(rows):
        x, y = _kernels_first(rows, columns, examples_last=False)
        gradients = _cdist_gradient(weight.t().contiguous(), x, y, skip)
        to_x, to_y = (t.transpose(0, 1).clone(memory_format=torch.contiguous_format) for t in gradients)
        return to_x, _no_rows(rows) if x is y else to_y
    # From here on x (B, C, N), y (B, C, M), g (B, N); a tile of differences is (kernels, C, rows, columns).
    x, y = _kernels_first(rows, columns)
    g, h = _pair(weight.t().contiguous(), x is y, y.shape[2])
    to_x, to_y = _pair(torch.zeros_like(x), x is y, y.shape[2])
    first, second = _buffer(x), _buffer(x)
    for i, j, kernels in _blocks(x, y):
        views = (x[..., i, None], y[..., None, j], g[:, i, None], h[:, None, j], to_x[..., i], to_y[..., j])
        for left, right, own, other, to_rows, to_columns in _pieces(kernels, *views):
            sign, factor = _sign_and_similarity(_into(first, left, right), second)
            # Where y is x, an example is the row of one pair and the column of another: both weights add up.
            _leave_out(factor.mul_(own + other), skip, i, j)
            sign *= F.hardshrink(factor, torch.finfo(x.dtype).tiny).unsqueeze(1)  # no subnormal numbers here either
            to_rows -= sign.sum(3)
            if x is not y or i != j:
                to_columns += sign.sum(2)
    return _examples_first(to_x), _no_rows(rows) if x is y else _examples_first(to_y)


@torch.library.custom_op("improved_gan::l1_similarity_second_gradient", mutates_args=())
def _second_gradient(
    to_rows: Tensor, to_columns: Tensor, weight: Tensor, rows: Tensor, columns: Tensor | None, skip: int
) -> tuple[Tensor, Tensor, Tensor]:
    """For v = `to_rows`, `to_columns`, the gradients of `_gradient`'s two results: those of weight, rows and columns.

    The scalar product of the gradient with v is -sum_ij g_i c_ij u_ij with u_ij = sum_c (v_ic - v_jc) s_ijc. As s is
    constant almost everywhere, these are the sums of `_gradient` with -c u in place of c.
    """
    x, y = _kernels_first(rows, columns)
    v, w = _kernels_first(to_rows, None if x is y else to_columns)
    g, h = _pair(weight.t().contiguous(), x is y, y.shape[2])
    of_g, of_h = _pair(torch.zeros_like(g), x is y, y.shape[2])
    of_x, of_y = _pair(torch.zeros_like(x), x is y, y.shape[2])
    first, second = _buffer(x), _buffer(x)
    for i, j, kernels in _blocks(x, y):
        weights = (g[:, i, None], h[:, None, j], of_g[:, i], of_h[:, j])
        views = (x[..., i, None], y[..., None, j], v[..., i, None], w[..., None, j], of_x[..., i], of_y[..., j])
        for own, other, of_own, of_other, left, right, v_left, v_right, of_left, of_right in _pieces(
            kernels, *weights, *views
        ):
            sign, factor = _sign_and_similarity(_into(first, left, right), second)
            factor *= _into(second, v_left, v_right).mul_(sign).sum(1).neg_()
            _leave_out(factor, skip, i, j)
            of_own += factor.sum(2)
            if x is y and i != j:
                of_other += factor.sum(1)
            sign *= factor.mul_(own + other).unsqueeze(1)
            of_left -= sign.sum(3)
            if x is not y or i != j:
                of_right += sign.sum(2)
    return of_g.t().contiguous(), _examples_first(of_x), _no_rows(rows) if x is y else _examples_first(of_y)


def _has_threads(x: Tensor) -> bool:
    return x.device.type == "cpu" and torch.get_num_threads() > 1


def _kernels_first(rows: Tensor, columns: Tensor | None, *, examples_last: bool = True) -> tuple[Tensor, Tensor]:
    """(N, B, C) -> (B, C, N), so that sums over c and j run along vectors, or (B, N, C); twice the same where None."""
    order = (1, 2, 0) if examples_last else (1, 0, 2)
    x = rows.permute(order).contiguous()
    return x, x if columns is None else columns.permute(order).contiguous()


def _examples_first(x: Tensor) -> Tensor:
    return x.permute(2, 0, 1).contiguous()


def _no_rows(x: Tensor) -> Tensor:
    """An empty gradient for columns that are None: a custom operator always returns tensors."""
    return x.new_empty(0, *x.shape[1:])


def _pair(of_rows: Tensor, same: bool, num_columns: int) -> tuple[Tensor, Tensor]:
    """A tensor (..., N) that belongs to the rows and its partner for the columns: itself, or zeros (..., M)."""
    return of_rows, of_rows if same else of_rows.new_zeros(*of_rows.shape[:-1], num_columns)


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, slice, int]]:
    """Blocks of rows i and columns j, and how many kernels of a block make a tile.

    Each pair is in one block. Where y is x, one block stands for (i, j) and (j, i), except on the diagonal.
    """
    n, m = x.shape[2], y.shape[2]
    most_rows = max(1, min(n, _ROWS, _tile_numbers(x) // (x.shape[1] * min(m, _COLUMNS))))
    step = -(-n // -(-n // most_rows))  # equal blocks
    for start in range(0, n, step):
        i = slice(start, min(start + step, n))
        columns = [i] if x is y else []
        columns += [slice(j, min(j + _COLUMNS, m)) for j in range(i.stop if x is y else 0, m, _COLUMNS)]
        for j in columns:
            yield i, j, max(1, _tile_numbers(x) // (x.shape[1] * (i.stop - i.start) * (j.stop - j.start)))


def _pieces(kernels: int, *views: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The views, split along their first dimension into tiles of that many kernels."""
    return zip(*(torch.split(view, kernels) for view in views), strict=True)


def _tile_numbers(x: Tensor) -> int:
    return _TILE_NUMBERS.get(x.device.type, 2**20)


def _buffer(x: Tensor) -> Tensor:
    """Memory for the differences of a tile, which may exceed the tile size: it has one row of one kernel at least."""
    return x.new_empty(min(max(_tile_numbers(x), x.shape[1] * _COLUMNS), x.numel() * _COLUMNS))


def _into(buffer: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """The differences left - right, (kernels, C, rows, columns), written into the buffer."""
    shape = (*left.shape[:3], right.shape[3])
    return torch.sub(left, right, out=buffer[: math.prod(shape)].view(shape))


def _sign_and_similarity(difference: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
    """s_ijc in place of the differences, and c_ij."""
    distance = torch.abs(difference, out=spare[: difference.numel()].view(difference.shape)).sum(1)
    return difference.sign_(), distance.neg_().exp_()


def _leave_out(similarity: Tensor, skip: int, i: slice, j: slice) -> None:
    """Zero for the pairs (i, i + skip), in place; -1 leaves out nothing."""
    offset = i.start + skip - j.start
    if skip >= 0 and -similarity.shape[1] < offset < similarity.shape[2]:
        similarity.diagonal(offset, 1, 2).zero_()


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *tensors, ctx.skip = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
    rows, columns = ctx.saved_tensors
    to_rows, to_columns = _gradient(weight, rows, columns, ctx.skip)
    return to_rows, None if columns is None else to_columns, None


def _backward_twice(ctx: Any, to_rows: Tensor, to_columns: Tensor) -> tuple[Tensor | None, ...]:
    weight, rows, columns = ctx.saved_tensors
    of_weight, of_rows, of_columns = _second_gradient(to_rows, to_columns, weight, rows, columns, ctx.skip)
    return of_weight, of_rows, None if columns is None else of_columns, None


def _empty_gradient(weight: Tensor, rows: Tensor, columns: Tensor | None, skip: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(rows), _no_rows(rows) if columns is None else torch.empty_like(columns)


def _cdist_similarity(x: Tensor, y: Tensor, skip: int) -> Tensor:
    """O (B, N) for x (B, N, C) and y (B, M, C); pairs (i, i + skip) are left out, -1 leaves out nothing."""
    result = x.new_empty(x.shape[:2])
    for kernels, rows in _cdist_pieces(x, y):
        close = torch.cdist(x[kernels, rows], y[kernels], p=1).neg_().exp_()
        torch.threshold_(close, torch.finfo(x.dtype).tiny, 0.0)  # subnormal numbers would slow the sums
        result[kernels, rows] = _without_self(close, skip, rows).sum(2)
    return result


def _cdist_gradient(weight: Tensor, x: Tensor, y: Tensor, skip: int) -> tuple[Tensor, Tensor]:
    """The gradients of x and of y for a weight (B, N) on o; all of it in the first where y is x."""
    to_x, to_y = torch.empty_like(x), torch.zeros_like(y)
    for kernels, rows in _cdist_pieces(x, y):
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


def _cdist_pieces(x: Tensor, y: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of kernels and rows that have at most `_CDIST_PAIRS` pairs with all columns."""
    rows = max(1, min(x.shape[1], _CDIST_PAIRS // y.shape[1]))
    kernels = max(1, _CDIST_PAIRS // (rows * y.shape[1]))
    for k in range(0, x.shape[0], kernels):
        for i in range(0, x.shape[1], rows):
            yield slice(k, k + kernels), slice(i, i + rows)


def _without_self(close: Tensor, skip: int, rows: slice) -> Tensor:
    offset = rows.start + skip
    if skip >= 0 and offset < close.shape[2]:
        close.diagonal(offset, 1, 2).zero_()
    return close


_similarity.register_fake(lambda rows, columns, skip: rows.new_empty(rows.shape[:2]))
_similarity.register_autograd(_backward, setup_context=_save)
_gradient.register_fake(_empty_gradient)
_gradient.register_autograd(_backward_twice, setup_context=_save)

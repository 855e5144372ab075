"""The sums of `l1_similarity` and their gradient in C++ (`l1_similarity.cpp`), on a processor.

A pair of examples costs one pass over C numbers in registers, where PyTorch's operations write the differences to
memory and read them again. The result does not depend on the number of threads. Memory: the arguments and results
once more, as (B, C, N).
"""

import ctypes

import torch
from torch import Tensor

from improved_gan.kernels import cpp_extension

__all__ = ["gradient", "similarity", "takes"]

_LANES = 16  # N and M are padded to whole vectors of float32 (two of float64)
_LEAST = 2**14  # differences x_ibc - y_jbc: below, nothing is worth compiling for
_NAMES = {torch.float32: "float", torch.float64: "double"}


def takes(rows: Tensor, columns: Tensor | None, skip: int) -> bool:
    """Whether these (N, B, C) and (M, B, C) are on a processor, large enough, and the kernels are compiled."""
    m = len(rows) if columns is None else len(columns)
    large = rows.device.type == "cpu" and rows.dtype in _NAMES and rows.numel() * m >= _LEAST
    return large and (columns is not None or skip <= 0) and cpp_extension.library() is not None


def similarity(rows: Tensor, columns: Tensor | None, skip: int) -> Tensor:
    """(N, B) for rows (N, B, C) and columns (M, B, C), None for rows; pairs (i, i + skip) are left out, -1 for none."""
    x = _padded(rows)
    y = x if columns is None else _padded(columns)
    out = x.new_zeros(x.shape[0], x.shape[2])
    _call("l1_similarity", rows, columns, skip, x, y, out)
    return out[:, : len(rows)].t().contiguous()


def gradient(weight: Tensor, rows: Tensor, columns: Tensor | None, skip: int) -> tuple[Tensor, Tensor | None]:
    """The gradients of rows and columns for a weight (N, B) on the result; all of it in the first for columns None."""
    x = _padded(rows)
    y = x if columns is None else _padded(columns)
    of_x = torch.zeros_like(x)
    of_y = of_x if columns is None else torch.zeros_like(y)
    _call("l1_gradient", rows, columns, skip, _padded(weight[:, :, None]), x, y, of_x, of_y)
    to_x = of_x[..., : len(rows)].permute(2, 0, 1).contiguous()
    return to_x, None if columns is None else of_y[..., : len(columns)].permute(2, 0, 1).contiguous()


def _padded(rows: Tensor) -> Tensor:
    """(N, B, C) -> (B, C, N) with N filled up to whole vectors with 0."""
    num = len(rows)
    padded = rows.new_zeros(*rows.shape[1:], -(-num // _LANES) * _LANES)
    padded[..., :num] = rows.permute(1, 2, 0)
    return padded


def _call(name: str, rows: Tensor, columns: Tensor | None, skip: int, *arrays: Tensor) -> None:
    library = cpp_extension.library()
    assert library is not None, cpp_extension.unavailable_reason()
    function = getattr(library, f"{name}_{_NAMES[rows.dtype]}")
    n, kernels, channels = rows.shape
    m = n if columns is None else len(columns)
    padded = [-(-num // _LANES) * _LANES for num in (n, m)]
    numbers = (kernels, channels, n, m, *padded, skip, int(columns is None), torch.get_num_threads())
    function.restype = None
    function(*(ctypes.c_void_p(one.data_ptr()) for one in arrays), *map(ctypes.c_int64, numbers))

"""The precision of sums: that of the numbers, but at least float32.

A sum in half precision stops growing once its terms are below half of its spacing (1 + 0.0001 is 1 in float16), and
float64 input must not be rounded to float32 on its way.
"""

import torch
from torch import Tensor

__all__ = ["at_least_float32", "precise"]


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """The dtype to sum numbers of `dtype` in.

    >>> [at_least_float32(dtype) for dtype in (torch.bfloat16, torch.float32, torch.float64)]
    [torch.float32, torch.float32, torch.float64]
    """
    return torch.promote_types(dtype, torch.float32)


def precise(values: Tensor) -> Tensor:
    """`values` in float32, or in float64 if they are float64; any shape, the same tensor if nothing changes.

    >>> precise(torch.ones(1, dtype=torch.float16)).dtype
    torch.float32
    """
    return values.to(at_least_float32(values.dtype))

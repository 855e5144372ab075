"""In what precision sums are taken: that of the numbers, but float32 at least.

A sum of half precision stops growing where a term falls below half a step of the sum (1 + 0.0001 is 1 in float16), and
a float64 that is rounded to float32 on its way loses what its owner asked for.
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
    """`values` in float32, or in float64 where they are that; any shape, the same tensor where nothing is to do.

    >>> precise(torch.ones(1, dtype=torch.float16)).dtype
    torch.float32
    """
    return values.to(at_least_float32(values.dtype))

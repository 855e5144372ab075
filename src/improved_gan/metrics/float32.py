"""Float32 without the shortcuts that PyTorch may take: TF32 on GPUs (10 bits of the mantissa), bfloat16 in oneDNN.

cuDNN's convolutions are in TF32 by default, products of matrices after `torch.set_float32_matmul_precision("high")`.
Scores are compared to more digits than that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["full_float32"]


@contextmanager
def full_float32() -> Iterator[None]:
    """While entered, convolutions and products of float32 tensors are computed in float32; also a decorator.

    The settings are those of the process, so other threads have them, too; afterwards they are as before.

    >>> with full_float32():
    ...     torch.backends.cudnn.allow_tf32
    False
    """
    backends: Any = torch.backends
    operations = (
        backends.cudnn.conv,
        backends.cudnn.rnn,
        backends.cuda.matmul,
        backends.mkldnn.conv,
        backends.mkldnn.matmul,
    )
    # The older settings are stored beside the newer ones, and raise an error where the two contradict each other.
    allowed, products = _allow_tf32(), _matmul_precision()
    before = [one.fp32_precision for one in operations]
    try:
        if allowed is not None:
            backends.cudnn.allow_tf32 = False
        if products is not None:
            torch.set_float32_matmul_precision("highest")
        for one in operations:
            one.fp32_precision = "ieee"
        yield
    finally:
        if allowed is not None:
            backends.cudnn.allow_tf32 = allowed
        if products is not None:
            torch.set_float32_matmul_precision(products)
        for one, precision in zip(operations, before, strict=True):
            one.fp32_precision = precision


def _allow_tf32() -> bool | None:
    """None where the user has set the newer `fp32_precision` to something else."""
    try:
        return bool(torch.backends.cudnn.allow_tf32)
    except RuntimeError:
        return None


def _matmul_precision() -> str | None:
    """None where the user has set the newer `fp32_precision` to something else."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None

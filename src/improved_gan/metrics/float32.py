"""Float32 without the shortcuts that PyTorch may take: TF32 on GPUs (10 bits of the mantissa), bfloat16 in oneDNN.

cuDNN's convolutions are in TF32 by default, products of matrices after `torch.set_float32_matmul_precision("high")`.
Scores are compared to more digits than that.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

import torch

__all__ = ["full_float32"]


_LOCK = Lock()
_inside, _restore = 0, ExitStack()  # how many calls are within; what the last one to leave does


@contextmanager
def full_float32() -> Iterator[None]:
    """While entered, convolutions and products of float32 tensors are computed in float32; also a decorator.

    The settings are those of the process, so other threads have them, too; after the last of several threads has left,
    they are as before the first one entered.

    >>> with full_float32():
    ...     torch.backends.cudnn.allow_tf32
    False
    """
    global _inside, _restore
    with _LOCK:
        if _inside == 0:
            _restore = _switched()
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                _restore.close()


def _switched() -> ExitStack:
    """Switches to float32; closing what is returned switches back."""
    backends: Any = torch.backends
    operations = (
        backends.cudnn.conv,
        backends.cudnn.rnn,
        backends.cuda.matmul,
        backends.mkldnn.conv,
        backends.mkldnn.matmul,
    )
    stack = ExitStack()
    # What an operation inherits from the setting of all operations it goes on inheriting.
    for one in operations:
        inherited = one.fp32_precision == backends.fp32_precision
        stack.callback(setattr, one, "fp32_precision", "none" if inherited else one.fp32_precision)
    # The older settings are stored beside the newer ones, and raise an error where the two contradict each other.
    if (products := _matmul_precision()) is not None:
        stack.callback(torch.set_float32_matmul_precision, products)
        torch.set_float32_matmul_precision("highest")
    if (allowed := _allow_tf32()) is not None:
        stack.callback(setattr, backends.cudnn, "allow_tf32", allowed)
        backends.cudnn.allow_tf32 = False
    for one in operations:
        one.fp32_precision = "ieee"
    return stack


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

"""Whether to use PyTorch operations only, since `torch.func.vmap` cannot map our own kernels over models.

The kernels read memory by address, and checks of values read numbers: neither is possible inside a vmapped function,
whose tensors stand for those of several models at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

__all__ = ["use_reference_ops", "uses_reference_ops"]

_ACTIVE = ContextVar("use_reference_ops", default=False)


def uses_reference_ops() -> bool:
    """Whether the caller runs within `use_reference_ops`; False in compiled code, which cannot read it."""
    return not torch.compiler.is_compiling() and _ACTIVE.get()


@contextmanager
def use_reference_ops() -> Iterator[None]:
    """While entered techniques and networks use PyTorch operations only.

    >>> with use_reference_ops():
    ...     uses_reference_ops()
    True
    """
    token = _ACTIVE.set(True)
    try:
        yield
    finally:
        _ACTIVE.reset(token)

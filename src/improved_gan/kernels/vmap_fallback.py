"""Whether PyTorch's own operations must do, because they alone can be mapped over models by `torch.func.vmap`.

Kernels of our own read memory, and checks of values read numbers: neither can be done inside a mapped function, whose
tensors stand for those of several models at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

__all__ = ["use_reference_ops", "uses_reference_ops"]

_PLAIN = ContextVar("use_reference_ops", default=False)


def uses_reference_ops() -> bool:
    """Whether the caller runs within `use_reference_ops`; never in compiled code, which cannot look."""
    return not torch.compiler.is_compiling() and _PLAIN.get()


@contextmanager
def use_reference_ops() -> Iterator[None]:
    """While entered techniques and networks take PyTorch's own operations throughout.

    >>> with use_reference_ops():
    ...     uses_reference_ops()
    True
    """
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)

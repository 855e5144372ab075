"""One thread for the small networks of the demonstrations.

Their tensors are so small that several threads mostly wait for each other (on a busy machine ten times as long as one
thread takes), and with one thread sums have a fixed order, so the same seed gives the same numbers on any number of
cores.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["single_threaded"]


@contextmanager
def single_threaded() -> Iterator[None]:
    """PyTorch computes with one thread inside the block; the number of threads is restored after it.

    >>> with single_threaded():
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

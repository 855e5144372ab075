"""Whether a forward pass is one that is run again for the gradient (`torch.utils.checkpoint`).

Such a pass comes out of the backward pass, long after whatever was set around the first one has been taken back. What
it is run for are the gradients; running statistics have seen its batch already.
"""

import torch

__all__ = ["in_backward"]


def in_backward() -> bool:
    """Whether this thread is within a backward pass; never while a graph is compiled, where no pass is repeated.

    >>> in_backward()
    False
    """
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1

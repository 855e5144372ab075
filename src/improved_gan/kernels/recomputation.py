"""Whether a forward pass is a recomputation for the gradient (`torch.utils.checkpoint`).

A recomputation starts within the backward pass, when context managers around the first pass have been left. Only its
gradients are needed; running statistics must not be updated a second time.
"""

import torch

__all__ = ["in_backward"]


def in_backward() -> bool:
    """Whether this thread is within a backward pass; False in compiled code, which repeats no pass.

    >>> in_backward()
    False
    """
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1

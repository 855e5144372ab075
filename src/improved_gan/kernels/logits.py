"""Checks of the logits that losses take, one or K per example, with a remedy for each other shape."""

import torch  # noqa: F401 -- for the examples below
from torch import Tensor

from improved_gan.kernels.precision import precise

__all__ = ["class_logits", "one_logit_an_example"]


def one_logit_an_example(logits: Tensor, name: str) -> Tensor:
    """(N,) logits with N >= 1, in float32 or better: a mean in half precision would be inaccurate.

    Args:
        logits: the caller's argument.
        name: its name, for the message.

    Raises:
        ValueError: another shape, with the remedy. (N, 1) with (N,) would silently broadcast to (N, N).

    >>> one_logit_an_example(torch.zeros(2, 1), "logits")
    Traceback (most recent call last):
    ValueError: logits must have shape (N,) with N >= 1, one logit an example; got (2, 1). Give logits.flatten().
    """
    if logits.dim() != 1 or logits.numel() == 0:
        wanted = f"{name} must have shape (N,) with N >= 1, one logit an example; got {tuple(logits.shape)}"
        raise ValueError(f"{wanted}. {_remedy(logits, name)}")
    return precise(logits)


def class_logits(logits: Tensor, name: str) -> Tensor:
    """(N, K) logits with K >= 1, in float32 or better.

    Args:
        logits: the caller's argument.
        name: its name, for the message.

    Raises:
        ValueError: another shape, with the remedy.
    """
    if logits.dim() != 2 or logits.shape[1] == 0:
        pooled = logits.dim() == 4 and tuple(logits.shape[2:]) == (1, 1)
        remedy = f" Give {name}.flatten(1)." if pooled else ""
        raise ValueError(f"{name} must have shape (N, K) with K >= 1; got {tuple(logits.shape)}.{remedy}")
    return precise(logits)


def _remedy(logits: Tensor, name: str) -> str:
    shape = tuple(logits.shape)
    if logits.numel() == 0:
        return "The mean of an empty batch is undefined."
    if len(shape) < 2:
        return f"Give {name}.reshape(1) for one example."
    if logits.numel() == shape[0]:
        return f"Give {name}.flatten()."
    if len(shape) == 2:
        return f"For class logits (N, K) give real_logit({name})."
    return f"For one logit a patch give {name}.flatten(), which counts each patch, or {name}.flatten(1).mean(1)."

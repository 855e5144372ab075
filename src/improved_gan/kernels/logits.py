"""Checks of the logits that losses take, one or K per example, with a remedy for each other shape.

Several discriminators (of scales, periods or patches) give a list of logits, one tensor each, of any numbers of rows.
"""

from collections.abc import Callable, Sequence

import torch  # noqa: F401 -- for the examples below
from torch import Tensor

from improved_gan.kernels.precision import precise

__all__ = ["Logits", "class_logits", "one_logit_an_example", "over_discriminators"]

Logits = Tensor | Sequence[Tensor]  # (N,) of one discriminator, or one such tensor for each of several


def over_discriminators(loss: Callable[..., Tensor], *, reduction: str = "mean", **logits: Logits) -> Tensor:
    """The loss of each discriminator's logits, then their mean or sum.

    Args:
        loss: from checked logits (N,), one tensor for each keyword in its order, to a number.
        reduction: "mean" or "sum" over the discriminators.
        logits: the caller's arguments under their names: (N,), or a list of (N_d,) of equal length.

    Raises:
        ValueError: unknown reduction, no discriminators, lists of different lengths, or a shape that is not (N,).
        TypeError: an entry that is no tensor.

    >>> over_discriminators(lambda l: l.mean(), l=[torch.zeros(2), torch.ones(3)])
    tensor(0.5000)
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean' or 'sum'; got {reduction!r}")
    listed = {name: [given] if isinstance(given, Tensor) else list(given) for name, given in logits.items()}
    counts = {name: len(given) for name, given in listed.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        found = " and ".join(f"{count} in {name}" for name, count in counts.items())
        raise ValueError(f"there must be logits of the same discriminators, at least one; got {found}")
    values = []
    for index in range(len(next(iter(listed.values())))):
        named = [(name if isinstance(logits[name], Tensor) else f"{name}[{index}]", listed[name]) for name in listed]
        values.append(loss(*(one_logit_an_example(given[index], name) for name, given in named)))
    total = sum(values[1:], values[0])
    return total / len(values) if reduction == "mean" and len(values) > 1 else total


def one_logit_an_example(logits: Tensor, name: str) -> Tensor:
    """(N,) logits with N >= 1, in float32 or better: a mean in half precision would be inaccurate.

    Args:
        logits: the caller's argument.
        name: its name, for the message.

    Raises:
        ValueError: another shape, with the remedy. (N, 1) with (N,) would silently broadcast to (N, N).
        TypeError: no tensor.

    >>> one_logit_an_example(torch.zeros(2, 1), "logits")
    Traceback (most recent call last):
    ValueError: logits must have shape (N,) with N >= 1, one logit an example; got (2, 1). Give logits.flatten().
    """
    if not isinstance(logits, Tensor):
        raise TypeError(f"{name} must be a tensor (N,); got {type(logits).__name__}")
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
        return f"For class logits (N, K) give real_logit({name}), for one logit a patch {name}.flatten()."
    return f"For one logit a patch give {name}.flatten(), which counts each patch, or {name}.flatten(1).mean(1)."

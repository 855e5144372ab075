"""Exponential moving average of the parameters for testing (released experiments; not historical averaging, 3.3).

    a_0 = 0,   a_t = decay a_{t-1} + (1 - decay) theta_t

    corrected   a_t / (1 - decay^t): the weights sum to one from the first step on (bias correction as in Adam)
    released    a_t uncorrected: at decay 0.9999 the initial 0 still has weight 0.61 after 5,000 steps

With every = k only each k-th step's parameters enter, with decay^k: the same time constant for less work.

Use: `average.update()` after each step of the optimizer, `average.averaged(network)` to test.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from improved_gan.kernels.precision import at_least_float32

__all__ = ["WeightEMA"]


class WeightEMA(nn.Module):
    """Exponential moving average (EMA) of a module's trainable parameters.

    Frozen parameters (`requires_grad=False`) and buffers are not averaged: `averaged` copies their current values. The
    average and the number of updates are buffers: saved, moved and loaded with this module. The average is in float32
    or better, whatever dtype the parameters have and this module is moved to: in half precision a step of (1 - decay)
    would be rounded away.

    Args:
        module: the network to average; it is not registered as a child.
        decay: weight of the past in each update, 0 <= decay < 1.
        variant: "corrected" or "released", the formulas above.
        every: use the parameters of each `every`-th update only.

    Raises:
        TypeError: not a module, for example its parameters.
        ValueError: decay or every out of range, unknown variant, or no trainable parameters.

    Source: the released experiments, a += 0.0001 (p - a) each step; bias correction as in Kingma & Ba, 2015.

    >>> network = nn.Linear(1, 1)
    >>> average = WeightEMA(network, decay=0.9)
    >>> average.update()
    >>> torch.allclose(average.averaged(network).weight, network.weight)
    True
    """

    num_updates: Tensor

    def __init__(self, module: nn.Module, decay: float = 0.9999, *, variant: str = "corrected", every: int = 1) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"WeightEMA takes the module, then decay, as WeightEMA(network, 0.9999); got "
                f"{type(module).__name__}. HistoricalAverage takes parameters."
            )
        if isinstance(decay, (nn.Module, Tensor)) or not 0 <= decay < 1:
            raise ValueError(f"decay must be a number, 0 <= decay < 1; got {decay}")
        if variant not in ("corrected", "released"):
            raise ValueError(f"variant must be 'corrected' or 'released'; got {variant!r}")
        if every < 1:
            raise ValueError(f"every must be at least 1; got {every}")
        self.decay, self.variant, self.every = decay, variant, every
        learned = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
        if not learned:
            raise ValueError("the module has no trainable parameters (requires_grad), so there is nothing to average")
        self._names = tuple(learned)
        self._followed: Sequence[Tensor] = list(learned.values())  # a list hides them from this module's parameters
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))
        for index, parameter in enumerate(self._followed):
            zeros = torch.zeros_like(parameter.detach(), dtype=at_least_float32(parameter.dtype))
            self.register_buffer(f"average_{index}", zeros)

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the current parameters."""
        self.num_updates += 1
        if self.num_updates % self.every == 0:
            averages = self._averages()
            followed = [p.detach().to(a.dtype) for p, a in zip(self._followed, averages, strict=True)]
            torch._foreach_lerp_(averages, followed, 1 - self.decay**self.every)

    @torch.no_grad()
    def averaged(self, module: nn.Module) -> nn.Module:
        """A copy of `module` with the averaged parameters; `module` itself is unchanged.

        Raises:
            RuntimeError: there was no update yet.
            ValueError: the module lacks parameters that are averaged.
            TypeError: not a module.
        """
        if not isinstance(module, nn.Module):
            raise TypeError(f"averaged takes a module; got {type(module).__name__}")
        num_taken = int(self.num_updates) // self.every
        if num_taken == 0:
            raise RuntimeError(
                f"the average is empty: call update() after each step of the optimizer, at least {self.every} times; "
                f"so far {int(self.num_updates)}"
            )
        result = copy.deepcopy(module)
        parameters = dict(result.named_parameters())
        if not set(self._names) <= set(parameters):
            raise ValueError(f"the module lacks averaged parameters: {sorted(set(self._names) - set(parameters))}")
        weight = 1.0 if self.variant == "released" else 1 - self.decay ** (self.every * num_taken)
        for name, average in zip(self._names, self._averages(), strict=True):
            parameters[name].copy_(average / weight)
        return result

    def _averages(self) -> list[Tensor]:
        return [self.get_buffer(f"average_{index}") for index in range(len(self._names))]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Moves as any module does, but keeps a buffer's dtype where it would become less precise than float32."""
        before = dict(self.named_buffers())
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            moved = self.get_buffer(name)
            if buffer.is_floating_point() and moved.dtype != at_least_float32(moved.dtype):
                setattr(self, name, buffer.to(moved.device))
        return self

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return f"decay={self.decay}, variant={self.variant!r}, every={self.every}"

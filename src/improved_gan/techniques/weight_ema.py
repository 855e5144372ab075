"""Exponential moving average of the parameters for testing (released experiments; not historical averaging, 3.3).

    a_0 = 0,   a_t = decay_t a_{t-1} + (1 - decay_t) theta_t,   r_t = decay_1 ... decay_t, the weight left to a_0

    corrected   a_t / (1 - r_t): the weights sum to one from the first step on (bias correction as in Adam)
    released    a_t uncorrected: at decay 0.9999 the initial 0 still has weight 0.61 after 5,000 steps
    started     a_1 = theta_1: the first parameters keep weight r_t / decay_1, as in `torch.optim.swa_utils`

decay_t is constant, or a function of t such as `warm_up_decay`. With every = k only each k-th step's parameters enter,
with decay^k: the same time constant for less work.

Use: `average.update()` after each step of the optimizer, `average.averaged(network)` to test.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from improved_gan.kernels.followed_tensors import FollowedTensors
from improved_gan.kernels.precision import at_least_float32

__all__ = ["WeightEMA", "warm_up_decay"]


def warm_up_decay(decay: float = 0.9999, *, offset: float = 10.0) -> Callable[[int], float]:
    """A decay that grows with the step t >= 1 up to `decay`: min(decay, (1 + t)/(offset + t)).

    The average then covers about a tenth of the steps so far, until 1/(1 - decay) steps have been made.

    Args:
        decay: the final decay, 0 <= decay < 1.
        offset: at least 1; a larger one starts with a shorter memory.

    Returns:
        The function for `WeightEMA(network, decay)`.

    Raises:
        ValueError: decay or offset out of range.

    Source: TensorFlow's `ExponentialMovingAverage(num_updates=...)`, with offset 10.

    >>> schedule = warm_up_decay(0.999)
    >>> [round(schedule(t), 3) for t in (1, 10, 100, 10_000)]
    [0.182, 0.55, 0.918, 0.999]
    """
    if not 0 <= decay < 1 or not offset >= 1:
        raise ValueError(f"decay must lie in 0 <= decay < 1 and offset be at least 1; got {decay} and {offset}")
    return lambda t: min(decay, (1 + t) / (offset + t))


class WeightEMA(nn.Module):
    """Exponential moving average (EMA) of a module's trainable parameters.

    Frozen parameters (`requires_grad=False`) are not averaged, and buffers only with `use_buffers`: `averaged` copies
    their current values. The average and the number of updates are buffers: saved, moved and loaded with this module.
    The average is in float32 or better, whatever dtype the parameters have and this module is moved to: in half
    precision a step of (1 - decay) would be rounded away. It may be on another device than the module.

    A deep copy that is made together with the module (of both in one object) follows the module's copy; a deep copy of
    the average alone follows the same module as before.

    Args:
        module: the network to average; it is not registered as a child.
        decay: weight of the past in each update, 0 <= decay < 1; or a function from the number of the update, from 1
            on, to that weight, as `warm_up_decay` gives.
        variant: "corrected", "released" or "started", the formulas above.
        every: use the parameters of each `every`-th update only; a decay that is a function is then taken at these
            updates, to the power of `every`.
        use_buffers: average the floating-point buffers too (running statistics of batch norm).

    Raises:
        TypeError: not a module, for example its parameters.
        ValueError: decay or every out of range, unknown variant, or no trainable parameters.

    Source: the released experiments, a += 0.0001 (p - a) each step; bias correction as in Kingma & Ba, 2015. With
        variant="started" equal to `AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay))` of
        `torch.optim.swa_utils`, whose `update_bn(batches, average.averaged(network))` recomputes batch norm statistics.

    >>> network = nn.Linear(1, 1)
    >>> average = WeightEMA(network, decay=0.9)
    >>> average.update()
    >>> torch.allclose(average.averaged(network).weight, network.weight)
    True
    """

    num_updates: Tensor
    remaining: Tensor  # r_t, of a decay that is a function

    def __init__(
        self,
        module: nn.Module,
        decay: float | Callable[[int], float] = 0.9999,
        *,
        variant: str = "corrected",
        every: int = 1,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"WeightEMA takes the module, then decay, as WeightEMA(network, 0.9999); got "
                f"{type(module).__name__}. HistoricalAverage takes parameters."
            )
        if isinstance(decay, (nn.Module, Tensor)) or not (callable(decay) or 0 <= decay < 1):
            raise ValueError(f"decay must be a number, 0 <= decay < 1, or a function of the update; got {decay}")
        if variant not in ("corrected", "released", "started"):
            raise ValueError(f"variant must be 'corrected', 'released' or 'started'; got {variant!r}")
        if every < 1:
            raise ValueError(f"every must be at least 1; got {every}")
        self.decay, self.variant, self.every = decay, variant, every
        learned = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
        if not learned:
            raise ValueError("the module has no trainable parameters (requires_grad), so there is nothing to average")
        buffers = {name: one for name, one in module.named_buffers() if use_buffers and one.is_floating_point()}
        self._names = (*learned, *buffers)
        self._followed = FollowedTensors([*learned.values(), *buffers.values()])
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))
        if callable(decay):
            self.register_buffer("remaining", torch.ones((), dtype=torch.float64))
        for index, tensor in enumerate(self._followed.tensors()):
            zeros = torch.zeros_like(tensor.detach(), dtype=at_least_float32(tensor.dtype))
            self.register_buffer(f"average_{index}", zeros)

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the current parameters."""
        self.num_updates += 1
        if self.num_updates % self.every == 0:
            averages = self._averages()
            followed = [p.detach().to(a) for p, a in zip(self._followed.tensors(), averages, strict=True)]
            decay = self._decay_now()
            starts = self.variant == "started" and int(self.num_updates) == self.every
            torch._foreach_lerp_(averages, followed, 1.0 if starts else 1 - decay)

    def _decay_now(self) -> float:
        if not callable(self.decay):
            return self.decay**self.every
        decay = self.decay(int(self.num_updates))
        if not 0 <= decay < 1:
            raise ValueError(f"decay({int(self.num_updates)}) must lie in 0 <= decay < 1; got {decay}")
        self.remaining *= decay**self.every
        return decay**self.every

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
        result = copy.deepcopy(module)
        for target, value in self._values_for(result):
            target.copy_(value)
        return result

    @contextmanager
    def swapped(self, module: nn.Module) -> Iterator[nn.Module]:
        """While entered `module` itself has the averaged parameters; then its own come back, bit for bit.

        No copy of the network is made, and its hooks, compiled graphs and wrappers stay. Not for training: an update of
        the optimizer or of the average inside would be lost, and is refused where it can be seen.

        Raises:
            RuntimeError: there was no update yet; or, on leaving, the parameters or the average changed inside.
            ValueError: the module lacks parameters that are averaged.

        >>> network = nn.Linear(1, 1)
        >>> average = WeightEMA(network, variant="released", decay=0.5)
        >>> average.update()
        >>> with average.swapped(network):
        ...     half = network.weight.item()
        >>> network.weight.item() == 2 * half
        True
        """
        with torch.no_grad():
            pairs = self._values_for(module)
            kept = [target.detach().clone() for target, _ in pairs]
            for target, value in pairs:
                target.copy_(value)
        torch.clear_autocast_cache()  # a surrounding autocast has cached casts of the other weights
        before = [target._version for target, _ in pairs], int(self.num_updates)
        try:
            yield module
        finally:
            after = [target._version for target, _ in pairs], int(self.num_updates)
            with torch.no_grad():
                for (target, _), own in zip(pairs, kept, strict=True):
                    target.copy_(own)
            torch.clear_autocast_cache()
        if before != after:
            raise RuntimeError("the parameters or their average were updated while swapped: train outside of swapped()")

    def _values_for(self, module: nn.Module) -> list[tuple[Tensor, Tensor]]:
        """The module's tensors that are averaged, and what the average says of each."""
        num_taken = int(self.num_updates) // self.every
        if num_taken == 0:
            raise RuntimeError(
                f"the average is empty: call update() after each step of the optimizer, at least {self.every} times; "
                f"so far {int(self.num_updates)}"
            )
        tensors = {**dict(module.named_buffers()), **dict(module.named_parameters())}
        if not set(self._names) <= set(tensors):
            raise ValueError(f"the module lacks averaged parameters: {sorted(set(self._names) - set(tensors))}")
        weight = 1.0 if self.variant != "corrected" else 1 - self._remaining(num_taken)
        return [(tensors[name], average / weight) for name, average in zip(self._names, self._averages(), strict=True)]

    def _remaining(self, num_taken: int) -> float:
        """r_t, the weight left to the initial zero."""
        return float(self.remaining) if callable(self.decay) else self.decay ** (self.every * num_taken)

    def _averages(self) -> list[Tensor]:
        return [self.get_buffer(f"average_{index}") for index in range(len(self._names))]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Moves as any module does, but keeps a buffer's dtype where it would become less precise than float32."""
        before = dict(self.named_buffers())
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            moved = self.get_buffer(name)
            rounded = name == "remaining" and moved.dtype != torch.float64
            if buffer.is_floating_point() and (rounded or moved.dtype != at_least_float32(moved.dtype)):
                setattr(self, name, buffer.to(moved.device))
        return self

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return f"decay={self.decay}, variant={self.variant!r}, every={self.every}"

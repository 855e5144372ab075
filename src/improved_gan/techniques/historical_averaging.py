"""Historical averaging (paper, section 3.3): a penalty on the distance of parameters from their historical mean.

    penalty = || theta - (1/t) sum_{i<=t} theta[i] ||_2^2,   theta[i] the parameters after step i

The mean is uniform over all past steps and updated online, mean += (theta - mean) / t, with compensated summation: at
t = 1e6 a plain float32 update would be rounded away. It is a constant for the gradient, and the penalty belongs in the
loss and the optimizer step of the network itself. This is not the exponential moving average of parameters for testing
(`WeightEMA`).

Use: `loss = loss + weight * history.penalty()`, step, `history.update()`; one `HistoricalAverage` for each network.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from improved_gan.kernels.followed_tensors import FollowedTensors
from improved_gan.kernels.precision import precise

__all__ = ["HistoricalAverage"]


class HistoricalAverage(nn.Module):
    """The mean of all past values of some parameters, and the squared distance of the parameters from it.

    The mean and the number of steps are buffers: saved, moved and loaded with the module. The mean keeps the initial
    precision of the parameters (at least float32), whatever dtype this module is moved to.

    A deep copy that is made together with the network (of both in one object) has the parameters of the network's copy;
    a deep copy of the average alone has the same parameters as before.

    Args:
        parameters: of one network, as for an optimizer; they are not registered here.

    Raises:
        TypeError: a module, a single tensor, or objects that are not tensors.
        ValueError: no parameters.

    Source: paper, section 3.3.

    >>> theta = nn.Parameter(torch.tensor([1.0]))
    >>> history = HistoricalAverage([theta])
    >>> history.update()
    >>> nn.init.constant_(theta, 3.0).requires_grad
    True
    >>> history.penalty()
    tensor(4., grad_fn=<MulBackward0>)
    """

    num_updates: Tensor

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__()
        listed = _listed(parameters)
        if not listed:
            raise ValueError("there are no parameters to average; got an empty list (or an exhausted iterator)")
        self._followed = FollowedTensors(listed)
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64, device=listed[0].device))
        for index, parameter in enumerate(listed):
            value = precise(parameter.detach()).clone()
            self.register_buffer(f"mean_{index}", value)
            self.register_buffer(f"remainder_{index}", torch.zeros_like(value))

    def penalty(self) -> Tensor:
        """|| theta - mean ||^2, a scalar in the parameters' dtype (float32 or better); 0 before the first update."""
        differences = torch._foreach_sub([precise(p) for p in self._followed.tensors()], self._buffers_of("mean"))
        torch._foreach_sub_(differences, self._buffers_of("remainder"))
        squares: Tensor = _SumOfSquares.apply(*differences)  # type: ignore[no-untyped-call]
        return squares * (self.num_updates > 0)

    @torch.no_grad()
    def update(self) -> None:
        """Add the current parameters to the mean: call it once, after each step of the optimizer."""
        self.num_updates += 1
        means, remainders = self._buffers_of("mean"), self._buffers_of("remainder")
        steps = torch._foreach_sub([precise(p.detach()) for p in self._followed.tensors()], means)
        torch._foreach_sub_(steps, remainders)
        torch._foreach_div_(steps, self.num_updates.to(steps[0].dtype))
        # Compensated summation: remainder += step; mean += remainder; the rounding error is the new remainder.
        torch._foreach_add_(remainders, steps)
        sums = torch._foreach_add(means, remainders)
        torch._foreach_sub_(means, sums)
        torch._foreach_add_(remainders, means)
        torch._foreach_copy_(means, sums)

    def means(self) -> list[Tensor]:
        """The mean of all past values of each parameter, in float64."""
        pairs = zip(self._buffers_of("mean"), self._buffers_of("remainder"), strict=True)
        return [mean.double() + remainder.double() for mean, remainder in pairs]

    def _buffers_of(self, kind: str) -> list[Tensor]:
        return [self.get_buffer(f"{kind}_{index}") for index in range(len(self._followed.tensors()))]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Moves to a device as any module does, but keeps the dtype."""
        before = dict(self.named_buffers())
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            setattr(self, name, buffer.to(self.get_buffer(name).device))
        return self

    def extra_repr(self) -> str:
        """The number of parameters, for printing."""
        return f"{sum(parameter.numel() for parameter in self._followed.tensors())} values"


def _listed(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The parameters as a list; refuses a tensor or a module, which would be iterated by rows or layers."""
    if isinstance(parameters, nn.Module) and not isinstance(parameters, nn.ParameterList):
        raise TypeError(
            f"HistoricalAverage takes parameters, as HistoricalAverage(network.parameters()); got "
            f"{type(parameters).__name__}. The module itself is what WeightEMA takes."
        )
    if isinstance(parameters, Tensor):
        raise TypeError(
            f"HistoricalAverage takes a list of tensors; got one of {tuple(parameters.shape)}: put it in a list"
        )
    listed = list(parameters)
    if other := next((one for one in listed if not isinstance(one, Tensor)), None):
        raise TypeError(
            f"HistoricalAverage takes parameters, as HistoricalAverage(network.parameters()); got "
            f"{type(other).__name__} among them"
        )
    return listed


class _SumOfSquares(torch.autograd.Function):
    """The sum over all tensors, with one product for each in the backward pass."""

    @staticmethod
    def forward(ctx: Any, *values: Tensor) -> Tensor:
        ctx.save_for_backward(*values)
        return torch.stack([torch.dot(value.flatten(), value.flatten()) for value in values]).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch._foreach_mul(ctx.saved_tensors, 2 * gradient))

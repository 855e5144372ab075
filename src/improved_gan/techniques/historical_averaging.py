"""Historical averaging (paper, section 3.3): each player pays for leaving the mean of its own past.

    penalty = || theta - (1/t) sum_{i<=t} theta[i] ||_2^2,   theta[i] the parameters after step i

The mean is uniform over all past steps and kept on line, in double precision: mean += (theta - mean) / t. It is a
constant for the gradient, and the penalty belongs in the cost and the optimiser step of the player itself. This is not
the exponential average of parameters that is used for testing (`WeightAverage`).

Use: `loss = loss + weight * history.penalty()`, step, `history.update()`; one history for each player.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["HistoricalAverage"]


class HistoricalAverage(nn.Module):
    """Keeps the mean of all past values of some parameters and measures how far they are from it.

    The mean and the number of steps are buffers: saved, moved and loaded with it. The mean stays in float64, whatever
    dtype this module is moved to: at t = 1e6 a float32 update of 1/t would vanish.

    Args:
        parameters: the player's parameters, as for an optimiser; they are not registered here.

    Raises:
        ValueError: no parameters.

    Source: paper, section 3.3.

    >>> player = nn.Parameter(torch.tensor([1.0]))
    >>> history = HistoricalAverage([player])
    >>> history.update()
    >>> nn.init.constant_(player, 3.0).requires_grad
    True
    >>> history.penalty()
    tensor(4., grad_fn=<ToCopyBackward0>)
    """

    num_updates: Tensor

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__()
        self._followed = list(parameters)  # a list hides them from this module's parameters
        if not self._followed:
            raise ValueError("there are no parameters to follow; got an empty list (or a spent iterator)")
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64, device=self._followed[0].device))
        for index, parameter in enumerate(self._followed):
            self.register_buffer(f"mean_{index}", parameter.detach().to(torch.float64, copy=True))

    def penalty(self) -> Tensor:
        """|| theta - mean ||^2, a scalar in the parameters' dtype (float32 or better); 0 before the first update."""
        precision = torch.promote_types(self._followed[0].dtype, torch.float32)
        # In float64, since near its mean a parameter differs from it in the last digits only.
        differences = torch._foreach_sub([p.double() for p in self._followed], self._means())
        total = torch.stack([square.sum() for square in torch._foreach_mul(differences, differences)]).sum()
        return (total * (self.num_updates > 0)).to(precision)

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters as they are now into the mean: call it once, after each step of the optimiser."""
        self.num_updates += 1
        values = [parameter.detach().to(torch.float64, copy=True) for parameter in self._followed]
        torch._foreach_sub_(values, self._means())
        torch._foreach_add_(self._means(), torch._foreach_div(values, self.num_updates.double()))

    def _means(self) -> list[Tensor]:
        return [self.get_buffer(f"mean_{index}") for index in range(len(self._followed))]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Moves to a device as any module does, and stays in double precision."""
        means = self._means()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for index, mean in enumerate(means):
            device = self.get_buffer(f"mean_{index}").device
            setattr(self, f"mean_{index}", mean.to(device))
        return self

    def extra_repr(self) -> str:
        """The number of parameters, for printing."""
        return f"{sum(parameter.numel() for parameter in self._followed)} numbers"

"""Gaussian noise on the layers of the discriminator (released experiments; paper, section 6.1).

    training    x + std * e,  e ~ N(0, 1) drawn anew for each number of each pass
    evaluation  x

Use: one before each layer of D; it keeps D from settling on details of few labels.

On a CPU drawing the noise is a fifth of an MNIST step. There, in single and half precision, each number takes 16
random bits through a table of 65,536 equally likely normal quantiles (mean 0, variance 1, largest 4.3), about twice as
fast as `torch.randn`. All bits come from PyTorch's own random state.
"""

from functools import cache

import torch
from torch import Tensor, nn

__all__ = ["GaussianNoise"]

_TABLED = (torch.float32, torch.bfloat16, torch.float16)


class GaussianNoise(nn.Module):
    """Adds normal noise of deviation `std` while training, nothing in evaluation.

    Args:
        std: deviation of the noise, in units of the input; 0 turns the layer off.

    Raises:
        ValueError: std is negative or not finite.

    Shape: any -> the same.

    Source: released MNIST experiment: 0.3 on the input, 0.5 before each further layer.

    >>> layer = GaussianNoise(0.3)
    >>> layer.eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        if not 0 <= std < float("inf"):
            raise ValueError(f"std must be a finite number >= 0; got {std}")
        self.std = std

    def forward(self, values: Tensor) -> Tensor:
        """`values` with noise added while training; (N, ...) -> (N, ...)."""
        if not self.training or self.std == 0:
            return values
        return torch.add(values, _normal_like(values), alpha=self.std)

    def extra_repr(self) -> str:
        """The deviation, for printing."""
        return f"std={self.std}"


def _normal_like(values: Tensor) -> Tensor:
    """N(0, 1) of the shape, dtype and device of `values`."""
    if values.device.type != "cpu" or values.dtype not in _TABLED:
        return torch.randn_like(values)
    count = values.numel()
    # 64 bits a draw, four numbers out of each.
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    index = bits.view(torch.uint16)[:count].to(torch.int32)
    return _quantiles(values.dtype).index_select(0, index).view(values.shape)


@cache
def _quantiles(dtype: torch.dtype) -> Tensor:
    """(65536,) the middles of equally likely slices of N(0, 1), scaled to variance 1."""
    middles = (torch.arange(65536, dtype=torch.float64) + 0.5) / 65536
    quantiles = torch.special.ndtri(middles)
    scaled: Tensor = quantiles / quantiles.std(correction=0)
    return scaled.to(dtype)

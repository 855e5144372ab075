"""Dropout at a fraction of the price on a CPU: PyTorch's draws one Bernoulli number after the other.

    y_i = x_i m_i / (1 - p),   m_i = [u_i >= p],   u_i uniform over 2^16 steps of [0, 1)

Four u come from each 64-bit random integer. p is therefore rounded to 2^-16, and the scale is that of the rounded p,
so that E[y] = x up to the rounding of that scale. All randomness comes from `kernels.random_source`, else PyTorch's own
random state, so a resumed run draws the same.
"""

import torch
from torch import Tensor, nn

from improved_gan.kernels.random_source import in_place_of_default, source
from improved_gan.kernels.vmap_fallback import uses_reference_ops

__all__ = ["Dropout", "drop"]

_STEPS = 2**16
_DTYPES = (torch.float32, torch.bfloat16)


def drop(values: Tensor, share: float) -> Tensor:
    """`values` with that share of its numbers at 0 and the others scaled up; any shape -> the same, differentiable.

    Args:
        values: float32 or bfloat16, on a CPU.
        share: of the numbers that are dropped, 0 <= share < 1.

    Raises:
        ValueError: a share out of its range.
    """
    steps = round(share * _STEPS)
    if not 0 <= steps < _STEPS:
        raise ValueError(f"share must lie in 0 <= share < 1; got {share}")
    mask = torch.empty_like(values, requires_grad=False)
    count = values.numel()
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None, generator=source())
    kept = mask.as_strided((count,), (1,))  # in the order of memory, whatever that is
    torch.ge(words.view(torch.int16)[:count], steps - _STEPS // 2, out=kept)
    return values * mask.mul_(_STEPS / (_STEPS - steps))


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`, by `drop` where that is the faster one: on a CPU in float32 and bfloat16, not compiled.

    >>> torch.equal(Dropout(0.5).eval()(torch.ones(3)), torch.ones(3))
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape -> the same."""
        simple = self.inplace or not self.training or not 0 < self.p < 1 - 1 / _STEPS
        plain = uses_reference_ops() or torch.compiler.is_compiling()
        if simple or plain or input.device.type != "cpu" or input.dtype not in _DTYPES:
            if source(input.device) is None or not self.training:
                return super().forward(input)
            with in_place_of_default(input.device):  # PyTorch's dropout names no generator
                return super().forward(input)
        return drop(input, self.p)

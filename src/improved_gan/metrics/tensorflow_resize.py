"""Bilinear resize as TensorFlow 1 did it: pixel i is taken at i * scale, without half-pixel centers and antialiasing.

The 2015 network was scored with it, so the reference Inception score and FID have it inside; other resizes give
other numbers. Interpolation along the width, then along the height, in float32: the order of the reference port, so
that results agree to the last bit.
"""

import torch
from torch import Tensor

__all__ = ["resize"]


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images.

    Args:
        image: (..., H, W) any real dtype.
        size: (H', W').

    Returns:
        (..., H', W') float32, in the range of the input.

    Source: TensorFlow 1.x, `resize_bilinear` with align_corners=False.

    >>> resize(torch.tensor([[0.0, 4.0]]), (1, 4)).tolist()
    [[0.0, 2.0, 4.0, 4.0]]
    """
    top, bottom, down = _taps(image.shape[-2], size[0])
    left, right, across = _taps(image.shape[-1], size[1])
    if image.shape[-2] > 2 * size[0]:  # far fewer rows are needed than there are
        rows = torch.unique(torch.cat([top, bottom]))
        top, bottom = torch.searchsorted(rows, top), torch.searchsorted(rows, bottom)
        image = image.index_select(-2, rows)
    low, high = image.index_select(-1, left).float(), image.index_select(-1, right).float()
    wide = low + (high - low) * across
    low, high = wide.index_select(-2, top), wide.index_select(-2, bottom)
    return low + (high - low) * down[:, None]


def _taps(num_in: int, num_out: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each output the two inputs and the weight of the second."""
    places = torch.arange(num_out, dtype=torch.float32) * torch.tensor(num_in / num_out, dtype=torch.float32)
    low = places.long()
    return low, (low + 1).clamp_max(num_in - 1), places - low.float()

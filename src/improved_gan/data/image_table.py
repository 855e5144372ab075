"""Rows of a set of images, wherever they lie: in memory, in a memory-mapped file, or on the device.

A set that fits well is moved to the device once; a larger one stays where it is, and each batch is gathered in order
of place, so that a memory-mapped file is read forwards, and sent on.
"""

import torch
from torch import Tensor

from improved_gan.data.dataset import to_float01

__all__ = ["ImageTable"]

_LARGE = 2**30  # bytes: from here on a set may not be in memory, so it is read in order of place and ahead of use


class ImageTable:
    """Takes batches out of images that are never copied as a whole on their own device.

    Args:
        images: (N, C, H, W) uint8; may be memory-mapped.
        device: where batches come out.

    >>> ImageTable(torch.full((3, 1, 2, 2), 51, dtype=torch.uint8), "cpu")(torch.tensor([2, 0])).unique()
    tensor([0.2000])
    """

    def __init__(self, images: Tensor, device: torch.device | str) -> None:
        self._device = torch.device(device)
        moves = images.device.type != self._device.type and images.nbytes <= _room(self._device)
        self._images = images.to(self._device) if moves else images
        self.large = self._images.device.type == "cpu" and images.nbytes >= _LARGE

    def __len__(self) -> int:
        return len(self._images)

    @property
    def index_device(self) -> torch.device:
        """Where row numbers are best kept."""
        return self._images.device

    def __call__(self, rows: Tensor) -> Tensor:
        """The images of these rows, (N, C, H, W) float32 in [0, 1], on the device."""
        if not self.large:
            return to_float01(self._images[rows].to(self._device))
        places, order = rows.sort()
        taken = torch.empty(len(rows), *self._images.shape[1:], dtype=torch.uint8)
        taken[order] = self._images[places]
        return to_float01(taken.to(self._device))


def _room(device: torch.device) -> int:
    """Bytes that images may take on a device: a quarter of what is free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 4
    return 2**63 - 1

"""The image deformation model (IDM): a distance of two images in which each pixel may move a little.

    d(x, y) = sum_p min_{|m| <= r} sum_{q in 3x3} |G x (p + q) - G y (p + m + q)|^2,  G: Sobel gradients

r is `max_displacement`; G is 0 outside the image. Each pixel p of x is matched to the best pixel near p in y by its
3x3 neighborhood, independently of all other pixels. Computed by the compiled kernel on a CPU that has one, otherwise by
PyTorch operations on any device.

Source: Keysers, Deselaers, Gollan and Ney, 2007, "Deformation models for image recognition", section 3.5 (IDM).
"""

import ctypes

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels import cpp_extension

__all__ = ["IDMDistance", "sobel_gradients"]

_PAIRS = 64  # pairs at a time in PyTorch operations; on a GPU as many as have
_NUMBERS = 2**25  # so many values
_SMOOTH = (1.0, 2.0, 1.0)


def sobel_gradients(images: Tensor) -> Tensor:
    """(N, C, H, W) float images -> (N, 2 C, H, W) their derivatives to the right and down, per pixel.

    Images are padded with 0: a stroke that ends at the border has an end there.

    >>> sobel_gradients(torch.tensor([[[[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]]]))[0, 0, 1]
    tensor([0.0000, 0.2500, 0.0000])
    """
    channels = images.shape[1]
    smooth, slope = images.new_tensor(_SMOOTH) / 4, images.new_tensor([-0.5, 0.0, 0.5])
    filters = torch.stack([smooth[:, None] * slope, slope[:, None] * smooth])[:, None].repeat(channels, 1, 1, 1)
    return F.conv2d(images, filters, padding=1, groups=channels)


class IDMDistance:
    """IDM distances of pairs among N images.

    Args:
        gradients: (N, A, H, W) float32.
        max_displacement: how far a pixel may move along each axis, >= 0.

    >>> distance = IDMDistance(torch.eye(3)[:, None, None], 1)  # a row of three pixels, one of them bright
    >>> distance(torch.tensor([0, 0, 0]), torch.tensor([0, 1, 2]))
    tensor([0., 0., 3.])
    """

    def __init__(self, gradients: Tensor, max_displacement: int) -> None:
        self._size = gradients.shape[1:]
        self._max_displacement = min(max_displacement, max(self._size[1:]))  # beyond it are zeros only
        self._gradients = gradients.float().contiguous()
        self._kernel = _kernel() if gradients.device.type == "cpu" else None
        self._boxes = _boxes(gradients) if self._kernel is not None else None

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """(P,) and (P,) int64 indices of images -> (P,) float32, >= 0; not symmetric."""
        if self._kernel is not None and self._boxes is not None:
            first, second = first.contiguous(), second.contiguous()
            out = torch.empty(len(first))
            tensors = (self._gradients, self._boxes, first, second, out)
            self._kernel(*(tensor.data_ptr() for tensor in tensors), len(first), *self._size, self._max_displacement)
            return out
        pairs = _PAIRS if first.device.type == "cpu" else max(_PAIRS, _NUMBERS // self._gradients[0].numel())
        parts = zip(torch.split(first, pairs), torch.split(second, pairs), strict=True)
        return torch.cat([self._of(*some) for some in parts])

    def _of(self, first: Tensor, second: Tensor) -> Tensor:
        """By PyTorch operations; pairs lie along the last axis, so that a displacement is a slice of whole rows.

        |a - b|^2 = |a|^2 + |b|^2 - 2 ab: only the last term depends on both.
        """
        (channels, height, width), max_displacement = self._size, self._max_displacement
        a = self._gradients[first].flatten(1).T.reshape(channels, height, width, -1)
        b = self._gradients[second].flatten(1).T.reshape(channels, height, width, -1)
        wide = F.pad(b, (0, 0, *(max_displacement + 1,) * 4))
        around = _sums_of_nine(wide.square().sum(0))
        products = a.new_zeros(height + 2, width + 2, len(first))
        inner = products[1:-1, 1:-1]
        best = a.new_full((height, width, len(first)), torch.inf)
        for down in range(2 * max_displacement + 1):
            for right in range(2 * max_displacement + 1):
                moved = wide[:, down + 1 : down + 1 + height, right + 1 : right + 1 + width]
                torch.mul(a[0], moved[0], out=inner)
                for one in range(1, channels):
                    inner.addcmul_(a[one], moved[one])
                cost = _sums_of_nine(products)
                torch.sub(around[down : down + height, right : right + width], cost, alpha=2, out=cost)
                torch.minimum(best, cost, out=best)
        own = _sums_of_nine(F.pad(a.square().sum(0), (0, 0, 1, 1, 1, 1)))
        return (best + own).sum((0, 1)).clamp_min_(0)


def _sums_of_nine(values: Tensor) -> Tensor:
    """Sums over 3x3 windows: (H + 2, W + 2, P) -> (H, W, P)."""
    rows = (values[:-2] + values[1:-1]).add_(values[2:])
    return (rows[:, :-2] + rows[:, 1:-1]).add_(rows[:, 2:])


def _boxes(gradients: Tensor) -> Tensor:
    """(N, 4) bounding boxes of the nonzero pixels: first row, last row + 1, first column, last column + 1; or empty."""
    present = (gradients != 0).any(1)
    edges = []
    for along in (2, 1):
        used = present.any(along).int()
        length = used.shape[1]
        some = used.any(1)
        edges.append(torch.where(some, used.argmax(1), length + 1))
        edges.append(torch.where(some, length - used.flip(1).argmax(1), -1))
    return torch.stack(edges, 1).contiguous()


def _kernel() -> "ctypes._NamedFuncPointer | None":
    found = cpp_extension.library()
    if found is None:
        return None
    function = found.deformation_distances
    function.argtypes, function.restype = [ctypes.c_void_p] * 5 + [ctypes.c_int64] * 5, None
    return function

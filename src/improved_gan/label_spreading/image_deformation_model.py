"""Nearest neighbors under the image deformation model (IDM): a distance that is small for slightly deformed images.

    d(x, y) = sum_p min_{|m| <= r} sum_{q in 3x3} |G x (p + q) - G y (p + m + q)|^2

G are Sobel gradients, r is `max_displacement`: each pixel p of x is matched to the pixel of y within r whose 3x3
neighborhood is most similar. Digits of one class that differ in slant, width or the length of a hook are near by this
distance and far in Euclidean distance; label spreading over a k-NN graph under it makes a fifth of the errors. This is
not in the paper.

Candidates are the nearest neighbors in blurred gradients; the list is then refined by NN-descent (neighbors of
neighbors).

Source: Keysers, Deselaers, Gollan and Ney, 2007, "Deformation models for image recognition", section 3.5; the search:
Dong, Charikar and Li, 2011.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.label_spreading.idm_distance import IDMDistance, sobel_gradients
from improved_gan.label_spreading.knn import nearest_neighbors, principal_components
from improved_gan.label_spreading.nn_descent import nn_descent

__all__ = ["idm_distance", "idm_neighbors"]

_START = 30  # candidates: neighbors in blurred gradients
_COMPONENTS = 64
_BLUR = 5
_ROWS = 4096


@torch.no_grad()
def idm_distance(first: Tensor, second: Tensor, *, max_displacement: int = 2) -> Tensor:
    """IDM distances of pairs of images: the pixels of the second may move.

    Args:
        first: (N, C, H, W) images of a real dtype.
        second: of the same shape, pair by pair.
        max_displacement: how far each pixel may move along each axis, in pixels, >= 0.

    Returns:
        (N,) float32, >= 0, in squared units of the images; not symmetric.

    Raises:
        ValueError: other shapes, a negative `max_displacement`, or images that are not finite.

    Source: Keysers et al., 2007, section 3.5.

    >>> bar = torch.zeros(1, 1, 5, 5)
    >>> bar[..., 2] = 1
    >>> idm_distance(bar, bar.roll(1, 3), max_displacement=0) > idm_distance(bar, bar.roll(1, 3), max_displacement=1)
    tensor([True])
    """
    _check(first, max_displacement)
    _check(second, max_displacement)
    if first.shape != second.shape:
        raise ValueError(f"images must come in pairs of one shape; got {tuple(first.shape)} and {tuple(second.shape)}")
    number = torch.arange(len(first), device=first.device)
    gradients = sobel_gradients(torch.cat([first, second]).float())
    return IDMDistance(gradients, max_displacement)(number, number + len(first))


@torch.no_grad()
def idm_neighbors(images: Tensor, num: int, *, max_displacement: int = 2) -> tuple[Tensor, Tensor]:
    """The nearest other images of each image by IDM distance; for `label_spreading(..., neighbors=...)`.

    60,000 digits of 28x28 take a minute or two of a core with the compiled kernels and some ten minutes without;
    memory grows with N * C * H * W: 16 bytes for each pixel value (gradients and blurred gradients).

    Args:
        images: (N, C, H, W) of a real dtype; their scale does not matter.
        num: k, 1 <= k < N.
        max_displacement: how far each pixel may move along each axis, in pixels, >= 0.

    Returns:
        (N, k) int64 indices and (N, k) float32 distances, nearest first. A few of the nearest may be missed.

    Raises:
        ValueError: a shape or number out of range, or images that are not finite.

    Source: Keysers et al., 2007, section 3.5; Dong et al., 2011.

    >>> bars = torch.zeros(4, 1, 6, 6)
    >>> bars[0, 0, :, 2] = bars[1, 0, :, 3] = bars[2, 0, 2] = bars[3, 0, 3] = 1  # two vertical, two horizontal
    >>> idm_neighbors(bars, 1)[0].flatten()
    tensor([1, 0, 3, 2])
    """
    _check(images, max_displacement)
    if not 1 <= num < len(images):
        raise ValueError(f"num must lie in 1..{len(images) - 1} for {len(images)} images; got {num}")
    brightest = max(float(some.abs().amax()) for some in torch.split(images.detach(), _ROWS)) or 1.0
    number, channels, height, width = images.shape
    gradients = torch.empty(number, 2 * channels, height, width, device=images.device)
    for into, some in zip(torch.split(gradients, _ROWS), torch.split(images, _ROWS), strict=True):
        into.copy_(sobel_gradients((some.double() / brightest).float()))
    points = principal_components(torch.cat([_blurred(some) for some in torch.split(gradients, _ROWS)]), _COMPONENTS)
    start, _ = nearest_neighbors(points, min(max(_START, num), number - 1))
    found, distances = nn_descent(IDMDistance(gradients, max_displacement), start, num)
    return found, distances * brightest**2


def _blurred(gradients: Tensor) -> Tensor:
    """(N, A, H, W) -> (N, 2 A, ...) positive and negative parts, each blurred, at every other pixel."""
    halves = torch.cat([gradients.clamp_min(0), (-gradients).clamp_min(0)], 1)
    for _ in range(2):
        halves = F.avg_pool2d(halves, _BLUR, 1, _BLUR // 2)
    return halves[:, :, ::2, ::2]


def _check(images: Tensor, max_displacement: int) -> None:
    if images.dim() != 4 or not images.numel():
        raise ValueError(f"images must be (N, C, H, W) and not empty; got {tuple(images.shape)}")
    if not isinstance(max_displacement, int) or max_displacement < 0:
        raise ValueError(f"max_displacement must be a whole number, not negative; got {max_displacement}")
    if images.is_floating_point() and not bool(images.isfinite().all()):
        raise ValueError("images must be finite; some are NaN or infinite")

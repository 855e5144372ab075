"""The training images nearest to samples, by pixels: a check whether the generator reproduces training images.

Images larger than 32 x 32 are averaged down to that size first: this bounds the cost for photographs, and an image
shifted by a pixel stays near its original. Distances are Euclidean, in units of the pixel range, divided by the
square root of the number of values: the root mean square difference of a value, 0..1.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.metrics.nearest_neighbors import Neighbors, nearest

__all__ = ["CopyCheck", "check_copies", "compared_size", "nearest_images"]

_EDGE = 32
_CHUNK = 5000
_FALSE_POSITIVES = 0.05  # fraction of unseen real images below the near-copy threshold


class CopyCheck(NamedTuple):
    """Distances of samples and of unseen real images to the nearest training image."""

    samples: Neighbors  # (N, k)
    unseen: Neighbors | None  # (M, 1), None if there are no unseen images
    near: float  # the 5% quantile of the unseen images' distances; NaN without unseen images
    near_copy: float  # fraction of samples below it; NaN without unseen images
    copies: int  # samples that differ from a training image by less than half a gray level


def check_copies(samples: Tensor, training: Tensor, unseen: Tensor | None, *, k: int = 3) -> CopyCheck:
    """The k nearest training images of each sample, compared with the distances of unseen real images.

    Args:
        samples: (N, C, H, W) uint8.
        training: (M, C, H, W) uint8.
        unseen: (L, C, H, W) uint8 real images that are not among the training images; None if there are none.
        k: number of neighbors of each sample.
    """
    found = nearest_images(samples, training, k=min(k, len(training)))
    first = found.distances[:, 0]
    copies = int((first < 0.5 / 255).sum())
    if unseen is None or len(unseen) == 0:
        return CopyCheck(found, None, torch.nan, torch.nan, copies)
    real = nearest_images(unseen, training)
    near = float(torch.quantile(real.distances[:, 0], _FALSE_POSITIVES))
    return CopyCheck(found, real, near, float((first < near).double().mean()), copies)


def nearest_images(queries: Tensor, images: Tensor, *, k: int = 1) -> Neighbors:
    """The k nearest of `images` to each query.

    Args:
        queries: (N, C, H, W) uint8.
        images: (M, C, H, W) uint8, M >= k; may be memory-mapped, and is read in chunks.
        k: number of neighbors.

    Returns:
        distances (N, k), see above, and indices (N, k), nearest first.

    >>> images = torch.arange(0, 256, 51, dtype=torch.uint8).view(6, 1, 1, 1)
    >>> nearest_images(torch.tensor([[[[100]]]], dtype=torch.uint8), images, k=2).indices.tolist()
    [[2, 1]]
    """
    flat = _flat(queries)
    distances = torch.full((len(queries), 0), 0.0, dtype=torch.float64)
    indices = torch.zeros(len(queries), 0, dtype=torch.int64)
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK]
        found = nearest(flat, _flat(part), k=min(k, len(part)))
        distances = torch.cat([distances, found.distances / flat.shape[1] ** 0.5], 1)
        indices = torch.cat([indices, found.indices + start], 1)
        distances, chosen = distances.topk(min(k, distances.shape[1]), dim=1, largest=False, sorted=True)
        indices = indices.gather(1, chosen)
    return Neighbors(distances, indices)


def compared_size(images: Tensor) -> tuple[int, int]:
    """(height, width) at which images (N, C, H, W) are compared; embeddings, of height 1, as they are."""
    if images.shape[2] == 1:
        return 1, images.shape[3]
    return min(images.shape[2], _EDGE), min(images.shape[3], _EDGE)


def _flat(images: Tensor) -> Tensor:
    values = images.float() / 255
    if compared_size(images) != tuple(images.shape[2:]):
        values = F.adaptive_avg_pool2d(values, compared_size(images))
    return values.flatten(1)

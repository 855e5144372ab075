"""A cache of nearest neighbors under the image deformation model (IDM), of images with a pixel layout applied.

They depend on no label and no seed, and take a minute or more: models that are trained in one process share them.
"""

import hashlib
from collections import OrderedDict

import torch
from torch import Tensor

from improved_gan.label_spreading.image_deformation_model import idm_neighbors
from improved_gan.label_spreading.layout_conv import apply_pixel_layout

__all__ = ["idm_neighbor_cache"]

_KEPT = 2
_PART = 4096
_found: OrderedDict[tuple[object, ...], tuple[Tensor, Tensor]] = OrderedDict()


def idm_neighbor_cache(
    images: Tensor, positions: Tensor | None, num: int, max_displacement: int
) -> tuple[Tensor, Tensor]:
    """`idm_neighbors` of images, from the cache where it has them.

    Args:
        images: (N, C, H, W) of a real dtype.
        positions: (H * W, 2) the pixel layout; None: rows and columns.
        num: k.
        max_displacement: how far each pixel may move, see `idm_neighbors`.

    Returns:
        (N, k) int64 indices and (N, k) float32 distances; not to be modified.
    """
    key = (_digest(images), None if positions is None else _digest(positions), num, max_displacement, images.device)
    if key not in _found:
        ordered = images if positions is None else apply_pixel_layout(images, positions)
        _found[key] = idm_neighbors(ordered, num, max_displacement=max_displacement)
    _found.move_to_end(key)
    while len(_found) > _KEPT:
        _found.popitem(last=False)
    return _found[key]


def _digest(values: Tensor) -> str:
    digest = hashlib.sha256(repr((tuple(values.shape), values.dtype)).encode())
    for part in torch.split(values, _PART):
        digest.update(part.contiguous().cpu().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

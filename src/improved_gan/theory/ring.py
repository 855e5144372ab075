"""A ring of eight Gaussians, and its coverage by generated points.

    centers 2 (cos k pi/4, sin k pi/4), k = 0..7, standard deviation 0.1, an eighth of the points each

Use: a small data set on which mode collapse can be measured.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

__all__ = ["MODES", "STD", "ring_coverage", "sample_ring"]

Floats = NDArray[np.float64]

STD = 0.1
MODES: Floats = 2.0 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def sample_ring(num_points: int, generator: torch.Generator) -> Tensor:
    """(num_points, 2) independent draws from the mixture of eight Gaussians of standard deviation `STD`.

    >>> sample_ring(5, torch.Generator().manual_seed(0)).shape
    torch.Size([5, 2])
    """
    modes = torch.from_numpy(MODES).float()[torch.randint(len(MODES), (num_points,), generator=generator)]
    return modes + STD * torch.randn(num_points, 2, generator=generator)


def ring_coverage(points: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    """The number of Gaussians that the points cover, and the fraction of good points.

    A point is good within three standard deviations of a Gaussian; a Gaussian is covered if at least 1% of all points
    are good and belong to it (its probability is 1/8).

    Args:
        points: (..., P, 2) generated points.

    Returns:
        (...) Gaussians covered, 0 to 8, and (...) the fraction of good points, 0 to 1.

    Raises:
        ValueError: another shape.

    >>> modes, good = ring_coverage([[2.0, 0.0], [2.1, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> print(modes, good)
    2 0.75
    """
    points = np.asarray(points, np.float64)
    if points.ndim < 2 or points.shape[-1] != 2 or points.shape[-2] == 0:
        raise ValueError(f"points must have shape (..., P, 2) with P >= 1; got {points.shape}")
    distances = np.linalg.norm(points[..., None, :] - MODES, axis=-1)
    good = (distances.min(-1) <= 3 * STD)[..., None] & (distances.argmin(-1)[..., None] == np.arange(len(MODES)))
    return (good.mean(-2) >= 0.01).sum(-1), np.asarray(good.any(-1).mean(-1))

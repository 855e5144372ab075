"""A ring of eight Gaussians, and how well generated points cover it.

    centers 2 (cos k pi/4, sin k pi/4), k = 0..7, deviation 0.1, an eighth of the points each

Use: the smallest data on which a GAN's mode collapse can be seen and counted.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

__all__ = ["MODES", "STD", "judge_ring", "sample_ring"]

Floats = NDArray[np.float64]

STD = 0.1
MODES: Floats = 2.0 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def sample_ring(num_points: int, generator: torch.Generator) -> Tensor:
    """(num_points, 2) independent draws from the ring: a Gaussian out of eight by chance, deviation `STD` around it.

    >>> sample_ring(5, torch.Generator().manual_seed(0)).shape
    torch.Size([5, 2])
    """
    modes = torch.from_numpy(MODES).float()[torch.randint(len(MODES), (num_points,), generator=generator)]
    return modes + STD * torch.randn(num_points, 2, generator=generator)


def judge_ring(points: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    """How many of the eight Gaussians the points cover, and how many points are any good.

    A point is good within three deviations of a Gaussian; a Gaussian is covered when at least 1% of all points are good
    and its own (an eighth would be its fair share).

    Args:
        points: (..., P, 2) generated points.

    Returns:
        (...) Gaussians covered, 0 to 8, and (...) the share of good points, 0 to 1.

    Raises:
        ValueError: another shape.

    >>> modes, good = judge_ring([[2.0, 0.0], [2.1, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> print(modes, good)
    2 0.75
    """
    points = np.asarray(points, np.float64)
    if points.ndim < 2 or points.shape[-1] != 2 or points.shape[-2] == 0:
        raise ValueError(f"points must have shape (..., P, 2) with P >= 1; got {points.shape}")
    distances = np.linalg.norm(points[..., None, :] - MODES, axis=-1)
    good = (distances.min(-1) <= 3 * STD)[..., None] & (distances.argmin(-1)[..., None] == np.arange(len(MODES)))
    return (good.mean(-2) >= 0.01).sum(-1), np.asarray(good.any(-1).mean(-1))

"""Precision and recall of samples: how many of them are realistic, and how much of the real images they cover.

The manifold of a set is the union of balls around its images, the radius of each the distance to the image's k-th
nearest neighbor. Precision: the fraction of samples inside the real manifold; recall: the fraction of real images
inside that of the samples.

Source: Kynkäänniemi, Karras, Laine, Lehtinen and Aila (2019), "Improved precision and recall metric".
"""

from typing import NamedTuple

import torch
from torch import Tensor

from improved_gan.metrics.nearest_neighbors import check_features, distances_to, nearest

__all__ = ["PrecisionRecall", "precision_recall"]


class PrecisionRecall(NamedTuple):
    """Both between 0 and 1."""

    precision: float
    recall: float


def precision_recall(generated: Tensor, real: Tensor, *, k: int = 3, rows: int = 2048) -> PrecisionRecall:
    """Precision and recall with k-th nearest neighbors; the time grows with the square of the number of images.

    Args:
        generated: (N, A) features of samples, N > k.
        real: (M, A) features of real images, M > k.
        k: as in the paper.
        rows: of a piece: memory is rows x rows distances.

    Raises:
        MetricError: too few images, features that do not fit or are not finite.

    >>> points = torch.arange(8.0)[:, None]
    >>> precision_recall(points + 0.1, points)
    PrecisionRecall(precision=1.0, recall=1.0)
    """
    check_features(generated, real)
    return PrecisionRecall(_fraction_inside(generated, real, k, rows), _fraction_inside(real, generated, k, rows))


def _fraction_inside(queries: Tensor, manifold: Tensor, k: int, rows: int) -> float:
    radii = nearest(manifold, manifold, k, exclude_self=True, rows=rows).distances[:, -1]
    inside = 0
    for part in torch.split(queries, rows):
        covered = torch.zeros(len(part), dtype=torch.bool)
        for points, radius in zip(torch.split(manifold, rows), torch.split(radii, rows), strict=True):
            covered |= (distances_to(part, points) <= radius).any(1)
        inside += int(covered.sum())
    return inside / len(queries)

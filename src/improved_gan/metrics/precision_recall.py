"""How many samples are realistic, and how much of the real images they cover: precision, recall, density, coverage.

The manifold of a set is the union of balls B(x_i, r_i) around its images, r_i the distance to the image's k-th nearest
neighbor in the set. With N samples y_j and M real images x_i:

    precision = fraction of samples inside any ball of a real image
    recall    = fraction of real images inside any ball of a sample
    density   = 1/(k N) sum_j sum_i [y_j in B(x_i, r_i)]       how many real images' balls a sample is in, over k
    coverage  = 1/M sum_i [some y_j in B(x_i, r_i)]            fraction of real images with a sample in their ball

Balls are closed, and a distance that exceeds the radius by rounding only (1e-6 of the manifold's median radius) lies
in the ball: a sample that is a copy of an image is exactly as far from other images as that one.

Density and coverage use the real manifold only, so a few outliers among the samples cannot raise them. For samples
and real images of one source the density is 1 on average, and the coverage 1 - prod_{i=1..k} (M - i) / (N + M - i).

Sources: Kynkäänniemi, Karras, Laine, Lehtinen and Aila (2019), "Improved precision and recall metric for assessing
generative models"; Naeem, Oh, Uh, Choi and Yoo (2020), "Reliable fidelity and diversity metrics for generative models".
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from improved_gan.metrics.nearest_neighbors import check_features, distances_to, nearest

__all__ = ["DensityCoverage", "PrecisionRecall", "balls", "density_coverage", "precision_recall"]

_ROUNDING = 1e-6  # of the median radius


class PrecisionRecall(NamedTuple):
    """Both between 0 and 1."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """The density may exceed 1; the coverage lies between 0 and 1."""

    density: float
    coverage: float


def precision_recall(
    generated: Tensor,
    real: Tensor,
    *,
    k: int = 3,
    rows: int = 2048,
    advance: Callable[[float], object] = lambda fraction: None,
) -> PrecisionRecall:
    """Precision and recall with k-th nearest neighbors; the time grows with the square of the number of images.

    Args:
        generated: (N, A) features of samples, N > k.
        real: (M, A) features of real images, M > k.
        k: as in the paper.
        rows: of a block: memory is rows x rows distances.
        advance: called with the fraction of the work done since the last call.

    Raises:
        MetricError: too few images, k below 1, features that do not fit or are not finite.

    >>> points = torch.arange(8.0)[:, None]
    >>> precision_recall(points + 0.1, points)
    PrecisionRecall(precision=1.0, recall=1.0)
    """
    check_features(generated, real)
    found = []
    for queries, manifold in ((generated, real), (real, generated)):
        counts, _ = balls(queries, manifold, k, rows, lambda fraction: advance(fraction / 2))
        found.append(float((counts > 0).double().mean()))
    return PrecisionRecall(*found)


def density_coverage(
    generated: Tensor,
    real: Tensor,
    *,
    k: int = 5,
    rows: int = 2048,
    advance: Callable[[float], object] = lambda fraction: None,
) -> DensityCoverage:
    """Density and coverage with k-th nearest neighbors; the time grows with the square of the number of images.

    Args:
        generated: (N, A) features of samples.
        real: (M, A) features of real images, M > k.
        k: as in the paper.
        rows: of a block: memory is rows x rows distances.
        advance: called with the fraction of the work done since the last call.

    Raises:
        MetricError: too few images, k below 1, features that do not fit or are not finite.

    >>> points = torch.arange(8.0)[:, None]
    >>> density_coverage(points[:2] + 0.1, points, k=1)
    DensityCoverage(density=2.0, coverage=0.375)
    """
    check_features(generated, real)
    counts, covered = balls(generated, real, k, rows, advance)
    return DensityCoverage(float(counts.sum()) / (k * len(generated)), float(covered.double().mean()))


@torch.no_grad()
def balls(
    queries: Tensor,
    manifold: Tensor,
    k: int,
    rows: int = 2048,
    advance: Callable[[float], object] = lambda fraction: None,
) -> tuple[Tensor, Tensor]:
    """In how many balls of the manifold each query is (N,), and whether each ball holds a query (M,)."""
    work = len(manifold) * (len(manifold) + len(queries))
    own = len(manifold) ** 2 / work
    neighbors = nearest(manifold, manifold, k, exclude_self=True, rows=rows, advance=lambda part: advance(part * own))
    radii = neighbors.distances[:, -1]
    different = radii[radii > 0]
    if len(different):
        radii = radii + _ROUNDING * different.median()
    counts = torch.zeros(len(queries), dtype=torch.int64)
    holds = torch.zeros(len(manifold), dtype=torch.bool)
    for i, part in enumerate(torch.split(queries, rows)):
        for j, (points, radius) in enumerate(zip(torch.split(manifold, rows), torch.split(radii, rows), strict=True)):
            inside = distances_to(part, points) <= radius
            counts[i * rows : (i + 1) * rows] += inside.sum(1)
            holds[j * rows : (j + 1) * rows] |= inside.any(0)
            advance(inside.numel() / work)
    return counts, holds

"""The kernel Inception distance (KID): the squared maximum mean discrepancy of features with a cubic kernel.

    k(x, y) = (x . y / A + 1)^3
    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),   without the pairs x = x' (unbiased)

Unlike the Fréchet distance it is unbiased, so it may be a little below 0, and numbers of images do not matter for
comparisons.

Source: Binkowski, Sutherland, Arbel and Gretton (2018), "Demystifying MMD GANs".
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError

__all__ = ["KernelInceptionDistance", "kernel_inception_distance", "polynomial_mmd"]


class KernelInceptionDistance(NamedTuple):
    """Mean and population standard deviation over the subsets."""

    mean: float
    std: float


def kernel_inception_distance(
    first: Tensor, second: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> KernelInceptionDistance:
    """The mean over random subsets, drawn without replacement; only one subset is in memory at a time.

    Args:
        first: (N, A) features.
        second: (M, A) features.
        subsets: how many.
        subset_size: images of each side in a subset.
        seed: of the subsets; they are those of torch-fidelity for the same seed.

    Raises:
        MetricError: fewer images than a subset has, or features that do not fit or are not finite.

    >>> kernel_inception_distance(torch.zeros(4, 2), torch.ones(4, 2), subsets=1, subset_size=4)
    KernelInceptionDistance(mean=7.0, std=0.0)
    """
    if min(len(first), len(second)) < subset_size or subset_size < 2:
        raise MetricError(
            f"subsets of {subset_size} need as many images on each side, and at least 2; got {len(first)} and "
            f"{len(second)}: take a smaller subset_size"
        )
    source = np.random.RandomState(seed)
    distances = []
    for _ in range(subsets):
        rows = [torch.from_numpy(source.choice(len(one), subset_size, replace=False)) for one in (first, second)]
        distances.append(polynomial_mmd(first[rows[0]], second[rows[1]]))
    return KernelInceptionDistance(float(np.mean(distances)), float(np.std(distances)))


def polynomial_mmd(first: Tensor, second: Tensor, *, rows: int = 2048) -> float:
    """The unbiased squared discrepancy of all rows, in float64 and pieces of `rows` rows.

    Args:
        first: (N, A) features, N >= 2.
        second: (M, A) features, M >= 2.
        rows: of a piece: memory is rows x rows numbers.

    Raises:
        MetricError: features that do not fit or are not finite.
    """
    if first.dim() != 2 or second.dim() != 2 or first.shape[1] != second.shape[1]:
        raise MetricError(f"features must be (N, A) and (M, A); got {tuple(first.shape)} and {tuple(second.shape)}")
    if min(len(first), len(second)) < 2:
        raise MetricError(f"at least 2 images are needed on each side; got {len(first)} and {len(second)}")
    within = [_sum(one, one, rows) - float(_kernel(one.double(), None).sum()) for one in (first, second)]
    n, m = len(first), len(second)
    value = within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * _sum(first, second, rows) / (n * m)
    if not np.isfinite(value):
        raise MetricError("the features hold NaN or infinity: the network fails on some images")
    return value


def _kernel(first: Tensor, second: Tensor | None) -> Tensor:
    """All pairs, or each row with itself."""
    products = first.square().sum(1) if second is None else first @ second.T
    return (products / first.shape[1] + 1) ** 3


def _sum(first: Tensor, second: Tensor, rows: int) -> float:
    total = 0.0
    for one in torch.split(first, rows):
        for other in torch.split(second, rows):
            total += float(_kernel(one.double(), other.double()).sum())
    return total

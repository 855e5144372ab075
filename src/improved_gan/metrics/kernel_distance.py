"""The squared maximum mean discrepancy of features: the kernel Inception distance (KID) and CMMD.

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)

KID has the cubic kernel (x . y / A + 1)^3 and leaves out the pairs x = x', so it is unbiased and may be a little below
0; numbers of images do not matter for comparisons. CMMD has the Gaussian kernel exp(-|x - y|^2 / 2 sigma^2) on CLIP
embeddings of length 1 and keeps those pairs (the V-statistic), so it is never below 0 and too large by
(1 - E k(x, x')) / N + (1 - E k(y, y')) / M: compare equal numbers of images only.

Sources: Binkowski, Sutherland, Arbel and Gretton (2018), "Demystifying MMD GANs"; Jayasumana et al. (2024),
"Rethinking FID: towards a better evaluation metric for image generation"; Gretton et al. (2012), equation 5.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.nearest_neighbors import check_features

__all__ = [
    "Kernel",
    "KernelInceptionDistance",
    "cmmd",
    "directions_kernel",
    "kernel_inception_distance",
    "maximum_mean_discrepancy",
    "polynomial_kernel",
    "rbf_kernel",
    "weighted_discrepancies",
]

Kernel = Callable[[Tensor, Tensor], Tensor]  # (N, A), (M, A) float64 -> (N, M)


def polynomial_kernel(first: Tensor, second: Tensor) -> Tensor:
    """(N, A), (M, A) -> (N, M): (x . y / A + 1)^3, KID's kernel.

    >>> polynomial_kernel(torch.ones(1, 2), torch.ones(1, 2))
    tensor([[8.]])
    """
    return (first @ second.T / first.shape[1] + 1) ** 3


def rbf_kernel(sigma: float) -> Kernel:
    """The Gaussian kernel exp(-|x - y|^2 / 2 sigma^2) as a function of (N, A) and (M, A).

    Raises:
        MetricError: sigma is not positive.

    >>> rbf_kernel(1.0)(torch.zeros(1, 2), torch.zeros(1, 2))
    tensor([[1.]])
    """
    if not 0 < sigma < math.inf:
        raise MetricError(f"sigma must be a positive number; got {sigma}")
    return partial(_gaussian, scale=-1 / (2 * sigma**2))


def directions_kernel(kernel: Kernel) -> Kernel:
    """The kernel of x / |x| and y / |y|; MetricError where a row is 0."""
    return partial(_of_directions, kernel=kernel)


class KernelInceptionDistance(NamedTuple):
    """Mean and population standard deviation over the subsets."""

    mean: float
    std: float


def kernel_inception_distance(
    first: Tensor,
    second: Tensor,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 2020,
    kernel: Kernel = polynomial_kernel,
    advance: Callable[[float], object] = lambda fraction: None,
) -> KernelInceptionDistance:
    """The mean over random subsets, drawn without replacement; only one subset is in memory at a time.

    Args:
        first: (N, A) features.
        second: (M, A) features.
        subsets: how many.
        subset_size: images of each side in a subset.
        seed: of the subsets; they are those of torch-fidelity for the same seed.
        kernel: `polynomial_kernel`, or `rbf_kernel(sigma)`.
        advance: called with the fraction of the work done since the last call.

    Raises:
        MetricError: fewer images than a subset has, no subset, or features that do not fit or are not finite.

    >>> kernel_inception_distance(torch.zeros(4, 2), torch.ones(4, 2), subsets=1, subset_size=4)
    KernelInceptionDistance(mean=7.0, std=0.0)
    """
    if subset_size < 2 or subsets < 1:
        raise MetricError(f"KID needs subsets of at least 2 images, and 1 subset; got {subset_size} and {subsets}")
    if min(len(first), len(second)) < subset_size:
        raise MetricError(
            f"subsets of {subset_size} need as many images on each side; got {len(first)} and "
            f"{len(second)}: take a smaller subset_size"
        )
    source = np.random.RandomState(seed)
    distances = []
    for _ in range(subsets):
        rows = [torch.from_numpy(source.choice(len(one), subset_size, replace=False)) for one in (first, second)]
        distances.append(maximum_mean_discrepancy(first[rows[0]], second[rows[1]], kernel=kernel))
        advance(1 / subsets)
    return KernelInceptionDistance(float(np.mean(distances)), float(np.std(distances)))


def cmmd(
    generated: Tensor,
    real: Tensor,
    *,
    sigma: float = 10.0,
    scale: float = 1000.0,
    normalize: bool = True,
    advance: Callable[[float], object] = lambda fraction: None,
) -> float:
    """CLIP maximum mean discrepancy: the V-statistic with a Gaussian kernel, times `scale`.

    Args:
        generated: (N, A) features, N >= 2; of CLIP for figures that compare with the paper's.
        real: (M, A) features, M >= 2.
        sigma: of the kernel.
        scale: a factor that makes the figures readable.
        normalize: divide each row by its length, as the authors' network does.
        advance: called with the fraction of the work done since the last call.

    Raises:
        MetricError: features that do not fit, are not finite, or are 0 where they should be normalized.

    >>> round(cmmd(torch.eye(2), -torch.eye(2)), 6)
    19.801327
    """
    kernel = rbf_kernel(sigma)
    if normalize:
        kernel = directions_kernel(kernel)
    return scale * maximum_mean_discrepancy(generated, real, kernel=kernel, unbiased=False, advance=advance)


@torch.no_grad()
def maximum_mean_discrepancy(
    first: Tensor,
    second: Tensor,
    *,
    kernel: Kernel = polynomial_kernel,
    unbiased: bool = True,
    rows: int = 2048,
    advance: Callable[[float], object] = lambda fraction: None,
) -> float:
    """The squared discrepancy of all rows, in float64 and blocks of `rows` rows.

    Args:
        first: (N, A) features, N >= 2.
        second: (M, A) features, M >= 2.
        kernel: symmetric, k(x, y) = k(y, x).
        unbiased: leave out each image's pair with itself (U-statistic); else keep it (V-statistic).
        rows: of a block: memory is rows x rows numbers.
        advance: called with the fraction of the work done since the last call.

    Raises:
        MetricError: features that do not fit or are not finite.
    """
    check_features(first, second)
    if min(len(first), len(second)) < 2:
        raise MetricError(f"at least 2 images are needed on each side; got {len(first)} and {len(second)}")
    n, m = len(first), len(second)
    work = n * n / 2 + m * m / 2 + n * m

    def done(pairs: int) -> None:
        advance(pairs / work)

    within = [
        _sum_within(one, kernel, rows, unbiased, done) / (num * (num - unbiased))
        for one, num in ((first, n), (second, m))
    ]
    value = sum(within) - 2 * _sum_between(first, second, kernel, rows, done) / (n * m)
    if not math.isfinite(value):
        raise MetricError("the features hold NaN or infinity: the network fails on some images")
    return value if unbiased else max(0.0, value)  # rounding may leave equal sets a little below 0


def weighted_discrepancies(
    first: Tensor,
    second: Tensor,
    first_weights: Tensor,
    second_weights: Tensor,
    *,
    kernel: Kernel = polynomial_kernel,
    unbiased: bool = True,
    rows: int = 2048,
    advance: Callable[[float], object] = lambda fraction: None,
) -> Tensor:
    """The squared discrepancy under B weightings of the images, as in a bootstrap: (B,) float64.

    With weights v and w the means are sum_ij v_i v_j k_ij / sum_ij v_i v_j, and so on; the U-statistic leaves out the
    pairs i = j, so that an image that is drawn twice is no pair of equal images.

    Args:
        first: (N, A).
        second: (M, A).
        first_weights: (N, B) float64.
        second_weights: (M, B) float64.
        kernel: symmetric.
        unbiased: the U-statistic; else the V-statistic.
        rows: of a block.
        advance: called with the fraction of the work done since the last call.
    """
    n, m = len(first), len(second)

    def done(pairs: int) -> None:
        advance(pairs / (n * n + m * m + n * m))

    within = []
    for one, weights in ((first, first_weights), (second, second_weights)):
        total, pairs = _weighted_sum(one, one, weights, weights, kernel, rows, done), weights.sum(0).square()
        if unbiased:
            own = [kernel(part.double(), part.double()).diagonal() for part in torch.split(one, rows)]
            total -= torch.cat(own) @ weights.square()
            pairs = pairs - weights.square().sum(0)
        within.append(total / pairs)
    between = _weighted_sum(first, second, first_weights, second_weights, kernel, rows, done)
    return within[0] + within[1] - 2 * between / (first_weights.sum(0) * second_weights.sum(0))


def _weighted_sum(
    first: Tensor, second: Tensor, v: Tensor, w: Tensor, kernel: Kernel, rows: int, done: Callable[[int], None]
) -> Tensor:
    """sum_ij v_ib w_jb k_ij for each b."""
    total = torch.zeros(v.shape[1], dtype=torch.float64)
    for one, own in zip(torch.split(first, rows), torch.split(v, rows), strict=True):
        some = one.double()
        for other, theirs in zip(torch.split(second, rows), torch.split(w, rows), strict=True):
            total += (own * (kernel(some, other.double()) @ theirs)).sum(0)
            done(len(one) * len(other))
    return total


def _gaussian(first: Tensor, second: Tensor, *, scale: float) -> Tensor:
    squares = first.square().sum(1)[:, None] + second.square().sum(1) - 2 * first @ second.T
    return squares.clamp_(min=0).mul_(scale).exp_()


def _of_directions(first: Tensor, second: Tensor, *, kernel: Kernel) -> Tensor:
    """The kernel of rows of length 1; rows of length 0 have no direction."""
    lengths = [one.norm(dim=1, keepdim=True) for one in (first, second)]
    if any(bool((length == 0).any()) for length in lengths):
        raise MetricError("an image has features that are all 0: they cannot be normalized; take normalize=False")
    return kernel(first / lengths[0], second / lengths[1])


def _sum_within(one: Tensor, kernel: Kernel, rows: int, unbiased: bool, done: Callable[[int], None]) -> float:
    """The sum over all pairs of one set; each block above the diagonal counts twice."""
    total, blocks = 0.0, torch.split(one, rows)
    for i, some in enumerate(blocks):
        some = some.double()
        own = kernel(some, some)
        total += float(own.sum()) - (float(own.diagonal().sum()) if unbiased else 0.0)
        for other in blocks[i + 1 :]:
            total += 2 * float(kernel(some, other.double()).sum())
            done(len(some) * len(other))
        done(len(some) ** 2 // 2)
    return total


def _sum_between(first: Tensor, second: Tensor, kernel: Kernel, rows: int, done: Callable[[int], None]) -> float:
    total = 0.0
    for one in torch.split(first, rows):
        some = one.double()
        for other in torch.split(second, rows):
            total += float(kernel(some, other.double()).sum())
            done(len(one) * len(other))
    return total

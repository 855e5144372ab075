"""The birthday paradox test: an estimate of how many different images a generator produces (its support size).

Among n samples of S equally likely images n (n - 1) / 2S pairs are duplicates on average; so the
number of pairs gives S, and few samples suffice (n about the square root of S). A distance decides which pairs are
duplicates; look at them in the end.

Source: Arora and Zhang (2017), "Do GANs actually learn the distribution? An empirical study".
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.near_duplicates import copy_distance, distinct_neighbors, near_duplicates
from improved_gan.metrics.nearest_neighbors import check_features

__all__ = ["SupportSize", "duplicate_threshold", "support_size"]


class SupportSize(NamedTuple):
    """The support size from the duplicate pairs among n samples."""

    num_pairs: int  # pairs of duplicates
    num_distinct: int  # samples left when each group of duplicates counts once
    support: float  # S by the number of pairs; infinity where there is none
    interval: tuple[float, float]  # 95%: pairs are nearly Poisson where few share an image
    pairs: Tensor  # (P, 2) int64 the nearest pairs, at most 1000, to look at
    threshold: float


@torch.no_grad()
def support_size(
    samples: Tensor,
    *,
    threshold: float | None = None,
    rows: int = 2048,
    advance: Callable[[float], object] = lambda fraction: None,
) -> SupportSize:
    """Count pairs of samples at most `threshold` apart, and estimate the number of different images.

    Args:
        samples: (N, A) features, N >= 2.
        threshold: Euclidean distance below which two images count as the same; default: exact copies only. See
            `duplicate_threshold`.
        rows: of a piece: memory is rows x rows distances, even where all samples are equal.
        advance: called with the fraction of the work done since the last call.

    Raises:
        MetricError: too few samples, features that do not fit or are not finite.

    >>> found = support_size(torch.tensor([[0.0], [0.0], [1.0], [2.0]]))
    >>> found.num_pairs, found.num_distinct, found.support
    (1, 3, 6.0)
    """
    check_features(samples)
    num = len(samples)
    if num < 2:
        raise MetricError(f"pairs need at least 2 samples; got {num}")
    if threshold is None:
        threshold = copy_distance(samples)
    count, first, pairs = near_duplicates(samples, threshold, piece=rows, advance=advance)
    possible = num * (num - 1) / 2
    from scipy.stats import chi2  # a second to import

    # Garwood's exact interval for the mean of a Poisson number.
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    high = float(chi2.ppf(0.975, 2 * count + 2)) / 2
    return SupportSize(
        count,
        int((first == torch.arange(num)).sum()),
        possible / count if count else float("inf"),
        (possible / high, possible / low if low else float("inf")),
        pairs,
        threshold,
    )


@torch.no_grad()
def duplicate_threshold(real: Tensor, *, advance: Callable[[float], object] = lambda fraction: None) -> float:
    """The distance of the nearest two *different* real images (M, A): nearer than any two real ones is a duplicate.

    Give as many real images as there are samples, drawn at random: more images have nearer pairs. Copies count once.
    `advance` is called with the fraction of the work done since the last call.

    Raises:
        MetricError: fewer than 2 different images.
    """
    found, first = distinct_neighbors(real, advance=advance)
    return float(found.distances[first == torch.arange(len(real)), 0].min())

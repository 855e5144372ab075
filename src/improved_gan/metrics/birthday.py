"""The birthday test: how many different images a generator makes.

Among n samples of S equally likely images n (n - 1) / 2S pairs are alike on average; so counting pairs tells S, and few
samples suffice (n about the square root of S). Which pairs are alike is for a distance to say, in the end for the eye.

Source: Arora and Zhang (2017), "Do GANs actually learn the distribution? An empirical study".
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.neighbours import check_features, distances_to, nearest

__all__ = ["DistinctSamples", "distinct_samples", "duplicate_threshold"]

_COPY = 1e-6  # of the largest norm: equal images, up to rounding


class DistinctSamples(NamedTuple):
    """What the pairs of n samples that are alike say."""

    num_pairs: int  # pairs that are alike
    num_distinct: int  # samples left when each group of alike ones counts once
    support: float  # S by the number of pairs; infinity where there is none
    interval: tuple[float, float]  # 95%: pairs are nearly Poisson where few share an image
    pairs: Tensor  # (P, 2) int64 the nearest pairs, at most 1000, to look at
    threshold: float


def distinct_samples(samples: Tensor, *, threshold: float | None = None, rows: int = 2048) -> DistinctSamples:
    """Count pairs of samples at most `threshold` apart, and what that says of the number of different images.

    Args:
        samples: (N, A) features, N >= 2.
        threshold: Euclidean distance below which two images count as the same; default: exact copies only. See
            `duplicate_threshold`.
        rows: of a piece: memory is rows x rows distances.

    Raises:
        MetricError: too few samples, features that do not fit or are not finite.

    >>> found = distinct_samples(torch.tensor([[0.0], [0.0], [1.0], [2.0]]))
    >>> found.num_pairs, found.num_distinct, found.support
    (1, 3, 6.0)
    """
    check_features(samples)
    num = len(samples)
    if num < 2:
        raise MetricError(f"pairs need at least 2 samples; got {num}")
    if threshold is None:
        threshold = _COPY * float(samples.double().square().sum(1).max().sqrt())
    distances, pairs = _alike(samples, threshold, rows)
    possible = num * (num - 1) / 2
    count = len(pairs)
    from scipy.stats import chi2  # a second to import

    # Garwood's exact interval for the mean of a Poisson number.
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    high = float(chi2.ppf(0.975, 2 * count + 2)) / 2
    return DistinctSamples(
        count,
        num - _merged(num, pairs),
        possible / count if count else float("inf"),
        (possible / high, possible / low if low else float("inf")),
        pairs[distances.argsort(stable=True)[:1000]],
        threshold,
    )


def duplicate_threshold(real: Tensor) -> float:
    """The distance of the nearest two of the real images (M, A), M >= 2: nearer than any two real ones is a duplicate.

    Give as many real images as there are samples, without copies among them: more images have nearer pairs.
    """
    return float(nearest(real, real, 1, exclude_self=True).distances.min())


def _alike(samples: Tensor, threshold: float, rows: int) -> tuple[Tensor, Tensor]:
    """Distances and indices i < j of the pairs at most `threshold` apart."""
    distances, pairs = [torch.zeros(0, dtype=torch.float64)], [torch.zeros(0, 2, dtype=torch.int64)]
    for i in range(0, len(samples), rows):
        for j in range(i, len(samples), rows):
            piece = distances_to(samples[i : i + rows], samples[j : j + rows])
            found = (piece <= threshold).nonzero()
            found = found[found[:, 0] + i < found[:, 1] + j]
            distances.append(piece[found[:, 0], found[:, 1]])
            pairs.append(found + torch.tensor([i, j]))
    return torch.cat(distances), torch.cat(pairs)


def _merged(num: int, pairs: Tensor) -> int:
    """How many samples disappear when alike ones count once."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0].numpy(), pairs[:, 1].numpy())), shape=(num, num))
    return num - int(connected_components(links, directed=False)[0])

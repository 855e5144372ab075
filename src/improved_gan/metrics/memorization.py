"""Are samples copies of training images? The nearest training images of each sample, and their distances.

A sample is a *near-copy* where it lies nearer to its nearest training image than that image lies to every other
*different* training image (copies among those count once). If a generator repeats its training data, all its samples
are near-copies. The fraction for unseen images depends on the features; it is estimated by treating each training image
as if it were unseen.

Source: Alaa, van Breugel, Saveliev and van der Schaar (2022), "How faithful is your synthetic data?", authenticity.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from improved_gan.metrics.near_duplicates import copy_distance, distinct_neighbors
from improved_gan.metrics.nearest_neighbors import check_features, nearest

__all__ = ["Memorization", "memorization"]

_COPY = 1e-3  # of the median distance between training neighbors: rounding of a network, not a different image


class Memorization(NamedTuple):
    """Near-copies among N samples, from their nearest training images."""

    distances: Tensor  # (N, k) float64, nearest first
    indices: Tensor  # (N, k) int64, rows of the training images
    near_copy: float  # fraction of samples, see above
    expected: float  # the same fraction for unseen images
    copies: int  # samples at (nearly) no distance from a training image


@torch.no_grad()
def memorization(
    samples: Tensor, training: Tensor, *, k: int = 1, advance: Callable[[float], object] = lambda fraction: None
) -> Memorization:
    """The k nearest training images of each sample, and the fraction of samples that are near-copies.

    Args:
        samples: (N, A) features.
        training: (M, A) features, at least 3 different ones.
        k: how many to return; the fractions use the first.
        advance: called with the fraction of the work done since the last call.

    Raises:
        MetricError: too few images, k below 1, features that do not fit or are not finite.

    >>> training = torch.tensor([[0.0], [1.0], [2.0]])
    >>> memorization(torch.tensor([[1.0], [5.0]]), training)[2:]
    (0.5, 0.3333333333333333, 1)
    """
    check_features(samples, training)
    to_samples = len(samples) / (len(samples) + len(training))
    found = nearest(samples, training, k, advance=lambda fraction: advance(fraction * to_samples))
    others, first = distinct_neighbors(training, 2, advance=lambda fraction: advance(fraction * (1 - to_samples)))
    own, limit = others.distances[:, 0], copy_distance(training)
    near = found.distances[:, 0]
    near_copy = (near < own[first[found.indices[:, 0]]]) | (near <= limit)
    # Each training image as an unseen one: its neighbor's own distance must then leave it out.
    different = first == torch.arange(len(training))
    neighbor = others.indices[:, 0]
    mutual = others.indices[neighbor, 0] == torch.arange(len(training))
    expected = own < torch.where(mutual, others.distances[neighbor, 1], own[neighbor])
    middle = torch.quantile(own[different][:: max(1, int(different.sum()) // 100_000)], 0.5)
    copies = near <= max(_COPY * float(middle), limit)
    return Memorization(found.distances, found.indices, _mean(near_copy), _mean(expected[different]), int(copies.sum()))


def _mean(flags: Tensor) -> float:
    return float(flags.double().mean())

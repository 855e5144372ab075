"""Are samples copies of training images? The nearest training images of each sample, and what their distances say.

A sample is called *too near* where it lies nearer to its nearest training image than that image lies to every other
*different* training image (copies among those count once). A generator that repeats its training data is too near
always. How often fresh images are depends on the features; it is measured by treating each training image as if it
were fresh.

Source: Alaa, van Breugel, Saveliev and van der Schaar (2022), "How faithful is your synthetic data?", authenticity.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from improved_gan.metrics.alike import copy_distance, distinct_neighbours
from improved_gan.metrics.neighbours import check_features, nearest

__all__ = ["Memorisation", "memorisation"]

_COPY = 1e-3  # of the median distance between training neighbours: rounding of a network, not a different picture


class Memorisation(NamedTuple):
    """What the nearest training images of N samples say."""

    distances: Tensor  # (N, k) float64, nearest first
    indices: Tensor  # (N, k) int64, rows of the training images
    too_near: float  # share of samples, see above
    expected: float  # the same share for fresh images
    copies: int  # samples at (nearly) no distance from a training image


def memorisation(samples: Tensor, training: Tensor, *, k: int = 1) -> Memorisation:
    """The k nearest training images of each sample, and the share of samples that are too near.

    Args:
        samples: (N, A) features.
        training: (M, A) features, at least 3 different ones.
        k: how many to give; the shares use the first.

    Raises:
        MetricError: too few images, features that do not fit or are not finite.

    >>> training = torch.tensor([[0.0], [1.0], [2.0]])
    >>> memorisation(torch.tensor([[1.0], [5.0]]), training)[2:]
    (0.5, 0.3333333333333333, 1)
    """
    check_features(samples, training)
    found = nearest(samples, training, k)
    others, first = distinct_neighbours(training, 2)
    own, limit = others.distances[:, 0], copy_distance(training)
    near = found.distances[:, 0]
    too_near = (near < own[first[found.indices[:, 0]]]) | (near <= limit)
    # Each training image as a fresh one: its neighbour's own distance must then leave it out.
    different = first == torch.arange(len(training))
    neighbour = others.indices[:, 0]
    mutual = others.indices[neighbour, 0] == torch.arange(len(training))
    expected = own < torch.where(mutual, others.distances[neighbour, 1], own[neighbour])
    middle = torch.quantile(own[different][:: max(1, int(different.sum()) // 100_000)], 0.5)
    copies = near <= max(_COPY * float(middle), limit)
    return Memorisation(found.distances, found.indices, _mean(too_near), _mean(expected[different]), int(copies.sum()))


def _mean(flags: Tensor) -> float:
    return float(flags.double().mean())

"""Poisson bootstrap weights that depend only on an image's position, so that batches, ranks and order do not matter.

In the bootstrap an image appears Binomial(N, 1/N) times in a replicate, nearly Poisson(1) and independent between
images: then weighted sums can be kept on line. The weight comes from a counter-based generator (splitmix64 of seed,
position, replicate), not from a stream.
"""

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["poisson_weights", "position_hash", "usable_weights"]

_ENOUGH = 200
_CUMULATIVE = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(20)])


def poisson_weights(positions: Tensor, replicates: int, *, seed: int = 0) -> Tensor:
    """How often each image counts in each replicate.

    Args:
        positions: (N,) integers >= 0.
        replicates: B.
        seed: another seed gives other, independent weights.

    Returns:
        (N, B) float64, whole numbers with mean 1 and variance 1.

    Source: Hanley and MacGibbon (2006), "Creating non-parametric bootstrap samples using Poisson frequencies";
    Steele, Lea and Flood (2014) for splitmix64.

    >>> poisson_weights(torch.tensor([7]), 3).equal(poisson_weights(torch.tensor([5, 7]), 3)[1:])
    True
    """
    numbers = positions.cpu().numpy().astype(np.uint64)[:, None]
    columns = np.arange(replicates, dtype=np.uint64)[None, :]
    with np.errstate(over="ignore"):
        start = _mix(np.full((1, 1), seed, dtype=np.uint64))
        bits = _mix(_mix(numbers + start) + columns)
    uniform = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return torch.from_numpy(np.searchsorted(_CUMULATIVE, uniform, side="right").astype(np.float64))


def usable_weights(num: int, replicates: int, *, smallest: int | None = None, seed: int = 0) -> Tensor:
    """`poisson_weights` of the first replicates that draw two different images, as a variance or a mean of pairs needs.

    Of ten images about one replicate in 1,200 is passed over, of 4 one in 7.

    Args:
        num: N, images at the positions 0..N-1.
        replicates: B.
        smallest: images of the smallest of several sets that share the replicates (N): two of its images are drawn,
            and so also two of each larger set.
        seed: as for `poisson_weights`.

    Returns:
        (N, B) float64; where the smallest set has one image only, that one is drawn.

    >>> usable_weights(2, 50).min() >= 1
    tensor(True)
    """
    smallest = num if smallest is None else smallest
    wanted, tried = min(2, smallest), replicates
    looked_at = min(smallest, _ENOUGH)  # of so many images hardly any replicate draws fewer than two
    while True:
        drawn = (poisson_weights(torch.arange(looked_at), tried, seed=seed) > 0).sum(0)
        chosen = (drawn >= wanted).nonzero().flatten()[:replicates]
        if len(chosen) < replicates and looked_at < smallest:
            looked_at = smallest
        elif len(chosen) < replicates:
            tried *= 2
        elif tried == replicates:
            return poisson_weights(torch.arange(num), replicates, seed=seed)
        else:
            return poisson_weights(torch.arange(num), tried, seed=seed)[:, chosen]


def position_hash(positions: Tensor) -> Tensor:
    """(N,) non-negative int64 numbers, one a position, whose sum tells (nearly surely) which positions occurred.

    The hashes have 40 bits, so that a sum of up to 2^23 of them is exact.

    >>> bool(position_hash(torch.tensor([1, 1])).sum() == position_hash(torch.tensor([0, 2])).sum())
    False
    """
    with np.errstate(over="ignore"):
        bits = _mix(positions.cpu().numpy().astype(np.uint64))
    return torch.from_numpy((bits >> np.uint64(24)).astype(np.int64))


def _mix(x: np.ndarray) -> np.ndarray:
    """splitmix64's finalizer."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed

"""Active learning: choose images to label next, by the entropy of their class probabilities and by diversity.

    entropy   H(p) = -sum_k p_k log p_k, in nats: 0 where one class is certain, log K where all are equal
    diversity farthest first: each next image is the one with the features farthest from those chosen before

Sources: uncertainty sampling, Lewis & Gale, 1994; farthest first, Gonzalez, 1985, for labels Sener & Savarese, 2018.
"""

import torch
from torch import Tensor

__all__ = ["entropy", "farthest_first"]

_ROUNDING = 1e-2  # of a logarithm in half precision


def entropy(log_probabilities: Tensor) -> Tensor:
    """H(p) in nats of each row.

    Args:
        log_probabilities: (N, K), each row log-normalized, as `log_softmax` gives it.

    Returns:
        (N,), from 0 to log K.

    Raises:
        ValueError: log-probabilities that are NaN or above 0 by more than rounding: such a row has no entropy.

    >>> entropy(torch.full((1, 4), 0.25).log())
    tensor([1.3863])
    """
    bad = ~(log_probabilities <= _ROUNDING).all(1)
    if bad.any():
        raise ValueError(
            f"log-probabilities must be numbers up to 0; {int(bad.sum())} of {len(bad)} rows hold others: the network "
            "fails on these images"
        )
    terms = log_probabilities.exp() * log_probabilities.masked_fill(log_probabilities == -torch.inf, 0.0)
    return -terms.sum(1).clamp(max=0.0)  # p log p = 0 at p = 0


def farthest_first(features: Tensor, num: int) -> list[int]:
    """Rows that cover the others: the first row, then again and again the one farthest from all chosen.

    Args:
        features: (N, A), most uncertain first; each column is scaled to standard deviation 1.
        num: number of rows, at most N.

    Returns:
        Their indices, in the order of choice. O(num N A) time, O(N) memory beside the features.

    Raises:
        ValueError: features that are not finite, whose distances are none.

    Source: Gonzalez, 1985: the largest distance to a chosen row is at most twice the least possible.

    >>> farthest_first(torch.tensor([[0.0], [0.1], [9.0], [5.0]]), 3)
    [0, 2, 3]
    """
    if not len(features):
        return []
    if bad := int((~features.isfinite().all(1)).sum()):
        raise ValueError(f"{bad} of {len(features)} rows of features hold NaN or infinity: leave these images out")
    std = features.double().std(0, correction=0)
    scaled = features.double() / torch.where(std > 0, std, torch.ones_like(std))
    chosen = [0]
    nearest = (scaled - scaled[0]).square().sum(1)
    while len(chosen) < min(num, len(features)):
        nearest[chosen[-1]] = -1.0  # each index is chosen once, also if several rows are equal
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (scaled - scaled[chosen[-1]]).square().sum(1))
    return chosen

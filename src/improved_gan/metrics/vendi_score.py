"""The Vendi score: the effective number of different images, without a reference.

    VS = exp(-sum_i l_i log l_i),   l_i the eigenvalues of K / N,   K_ij = cos(x_i, x_j)

K is the N x N matrix of cosine similarities. Its nonzero eigenvalues are those of the A x A matrix sum_i u_i u_i^T / N
with u_i = x_i / |x_i|, so memory does not grow with the number of images. Of N equal images the score is 1, of N
images with orthogonal features N, and never more than A. Other orders q replace the Shannon entropy by Renyi's; an
order above 1 weighs common images more, infinity counts the most common only.

Source: Friedman and Dieng (2023), "The Vendi score: a diversity evaluation metric for machine learning"; orders:
Pasarkar and Dieng (2024), "Cousins of the Vendi score".
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.nearest_neighbors import check_features

__all__ = ["vendi_score"]

_NEAR_ONE = 1e-8  # of the order: nearer to 1 the rounding of the sum of shares, 1e-16, is a part of the entropy


@torch.no_grad()
def vendi_score(
    features: Tensor,
    *,
    order: float = 1.0,
    rows: int = 2048,
    advance: Callable[[float], object] = lambda fraction: None,
) -> float:
    """The Vendi score of features with the cosine similarity.

    Args:
        features: (N, A), no row of length 0.
        order: q > 0 of the entropy; 1 is Shannon's, as in the paper.
        rows: of a block that is in memory at a time.
        advance: called with the fraction of the work done since the last call.

    Returns:
        Between 1 and min(N, A).

    Raises:
        MetricError: features that do not fit, are not finite or are all 0 for an image, or an order that is no
            positive number.

    >>> round(vendi_score(torch.eye(4)), 6), round(vendi_score(torch.ones(4, 2)), 6)
    (4.0, 1.0)
    """
    if not order > 0:
        raise MetricError(f"the order must be a positive number; got {order}")
    check_features(features)
    num, width = features.shape
    if num < width:  # the N x N matrix is the smaller one
        directions = _directions(features)
        similarity = directions @ directions.T
        advance(1.0)
    else:
        similarity = torch.zeros(width, width, dtype=torch.float64)
        for part in torch.split(features, rows):
            directions = _directions(part)
            similarity += directions.T @ directions
            advance(len(part) / num)
    return _effective_number(_shares(similarity / num, num), order)


def _directions(features: Tensor) -> Tensor:
    lengths = features.double().norm(dim=1, keepdim=True)
    if bool((lengths == 0).any()):
        raise MetricError("an image has features that are all 0: it has no cosine similarity to others")
    directions: Tensor = features.double() / lengths
    return directions


def _shares(similarity: Tensor, num: int) -> Tensor:
    """(R,) the eigenvalues that are above the rounding of sums over `num` images, scaled to sum 1.

    Zero eigenvalues come out as about 1e-16, and an order below 1 would count each of them: (1e-16)^0.1 = 0.025.
    """
    values = torch.linalg.eigvalsh(similarity)
    rounding = (len(values) + num**0.5) * torch.finfo(torch.float64).eps
    values = values[values > values.max() * rounding]
    shares: Tensor = values / values.sum()
    return shares


def _effective_number(shares: Tensor, order: float) -> float:
    """Exp of the entropy of positive shares that sum to 1."""
    if abs(order - 1) < _NEAR_ONE:
        return math.exp(-float(torch.special.xlogy(shares, shares).sum()))
    if math.isinf(order):
        return 1 / float(shares.max())
    return math.exp(float((order * shares.log()).logsumexp(0)) / (1 - order))  # a large power of a share may be 0

"""How a classifier does on labeled images: confusion, mistakes, calibration.

Expected calibration error (Guo, Pleiss, Sun and Weinberger, 2017, "On Calibration of Modern Neural Networks", eq. 3):
images go into B bins of equal width by the probability p of the class that they are given, ((b - 1)/B, b/B], and

    ECE = sum_b n_b / N * |accuracy_b - mean p_b|.
"""

from dataclasses import dataclass

import torch
from scipy.stats import binomtest
from torch import Tensor

__all__ = [
    "Calibration",
    "CalibrationBin",
    "ClassScore",
    "calibration",
    "class_scores",
    "confident_mistakes",
    "confusion",
    "share_interval",
]

NUM_BINS = 15  # as in Guo et al.


@dataclass(frozen=True)
class ClassScore:
    """One class: images of it, share of them found, share of what was given this class that is of it."""

    images: int
    recall: float  # NaN where there are no images
    precision: float  # NaN where nothing was given this class


@dataclass(frozen=True)
class CalibrationBin:
    """Images whose probability lies in (low, high]: their number, mean probability and share that is right."""

    low: float
    high: float
    images: int
    confidence: float  # NaN in an empty bin
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities mean what they say."""

    bins: tuple[CalibrationBin, ...]
    error: float  # expected calibration error, 0..1
    confidence: float  # mean probability of the class given
    accuracy: float
    log_loss: float  # mean of -log p(true class), nats


def confusion(labels: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
    """(K, K) int64: images of the row's class that were given the column's.

    >>> confusion(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return torch.bincount(labels * num_classes + predicted, minlength=num_classes**2).view(num_classes, num_classes)


def share_interval(num: int, images: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share of images, as an error or a recall.

    Args:
        num: of the images, that are wrong or right.
        images: at least 1, each drawn independently.
        level: probability that the interval holds the true share.

    >>> tuple(round(bound, 4) for bound in share_interval(25, 200))
    (0.0861, 0.178)
    """
    interval = binomtest(num, images).proportion_ci(confidence_level=level, method="wilson")
    return float(interval.low), float(interval.high)


def class_scores(matrix: Tensor) -> list[ClassScore]:
    """Recall and precision of each class.

    Args:
        matrix: (K, K) of `confusion`.
    """
    right, of_class, given = matrix.diagonal().double(), matrix.sum(1), matrix.sum(0)
    recall, precision = right / of_class, right / given
    return [ClassScore(int(n), float(r), float(p)) for n, r, p in zip(of_class, recall, precision, strict=True)]


def confident_mistakes(probabilities: Tensor, labels: Tensor, num: int) -> Tensor:
    """(M,) places of at most `num` images that were given a wrong class, the most certain first.

    Args:
        probabilities: (N, K).
        labels: (N,) int64.
        num: M at most.

    >>> confident_mistakes(torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]), torch.tensor([1, 1, 1]), 5).tolist()
    [1, 0]
    """
    confidence, predicted = probabilities.max(1)
    wrong = (predicted != labels).nonzero().flatten()
    return wrong[confidence[wrong].argsort(descending=True, stable=True)][:num]


def calibration(probabilities: Tensor, labels: Tensor, *, num_bins: int = NUM_BINS) -> Calibration:
    """Bins of equal width and the expected calibration error.

    Args:
        probabilities: (N, K), N >= 1.
        labels: (N,) int64.
        num_bins: B.

    >>> calibration(torch.tensor([[0.8, 0.2], [0.8, 0.2]]), torch.tensor([0, 1])).error
    0.30000001192092896
    """
    probabilities = probabilities.double()
    confidence, predicted = probabilities.max(1)
    right = (predicted == labels).double()
    places = (confidence * num_bins).ceil().long().clamp(1, num_bins) - 1
    counts = torch.bincount(places, minlength=num_bins)
    sums = [torch.bincount(places, weights=values, minlength=num_bins) / counts for values in (confidence, right)]
    gaps = (sums[1] - sums[0]).abs().nan_to_num(0.0)
    bins = tuple(
        CalibrationBin(place / num_bins, (place + 1) / num_bins, int(n), float(p), float(a))
        for place, (n, p, a) in enumerate(zip(counts, *sums, strict=True))
    )
    true = probabilities.gather(1, labels[:, None]).clamp(min=1e-300)
    return Calibration(
        bins,
        error=float((counts.double() / len(labels) * gaps).sum()),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        log_loss=float(-true.log().mean()),
    )

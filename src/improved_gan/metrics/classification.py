"""Evaluation of a classifier on labeled images: confusion matrix, mistakes, calibration.

Expected calibration error (Guo, Pleiss, Sun and Weinberger, 2017, "On Calibration of Modern Neural Networks", eq. 3):
images are sorted into B bins of equal width, ((b - 1)/B, b/B], by the probability p of their predicted class, and

    ECE = sum_b n_b / N * |accuracy_b - mean p_b|.
"""

from dataclasses import dataclass

import torch
from scipy.stats import binomtest
from torch import Tensor

from improved_gan.metrics.errors import MetricError

__all__ = [
    "Calibration",
    "CalibrationBin",
    "ClassScore",
    "calibration",
    "class_scores",
    "confident_mistakes",
    "confusion",
    "wilson_interval",
]

NUM_BINS = 15  # as in Guo et al.


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class: number of its images, recall and precision."""

    images: int
    recall: float  # NaN without images of the class
    precision: float  # NaN if no image was classified as this class


@dataclass(frozen=True)
class CalibrationBin:
    """Images whose probability lies in (low, high]: their number, mean probability and accuracy."""

    low: float
    high: float
    images: int
    confidence: float  # NaN in an empty bin
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Agreement of predicted probabilities with accuracy."""

    bins: tuple[CalibrationBin, ...]
    error: float  # expected calibration error, 0..1
    confidence: float  # mean probability of the predicted class
    accuracy: float
    log_loss: float  # mean of -log p(true class), nats


def confusion(labels: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
    """(K, K) int64: number of images of the row's class that were classified as the column's class.

    >>> confusion(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return torch.bincount(labels * num_classes + predicted, minlength=num_classes**2).view(num_classes, num_classes)


def wilson_interval(num: int, images: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's confidence interval for a fraction of images, such as an error rate or a recall.

    Args:
        num: number of images in the fraction's numerator.
        images: at least 1, each drawn independently.
        level: confidence level.

    >>> tuple(round(bound, 4) for bound in wilson_interval(25, 200))
    (0.0861, 0.178)
    """
    interval = binomtest(num, images).proportion_ci(confidence_level=level, method="wilson")
    return float(interval.low), float(interval.high)


def class_scores(matrix: Tensor) -> list[ClassScore]:
    """Recall and precision of each class.

    Args:
        matrix: (K, K), from `confusion`.
    """
    right, of_class, given = matrix.diagonal().double(), matrix.sum(1), matrix.sum(0)
    recall, precision = right / of_class, right / given
    return [ClassScore(int(n), float(r), float(p)) for n, r, p in zip(of_class, recall, precision, strict=True)]


def confident_mistakes(probabilities: Tensor, labels: Tensor, num: int) -> Tensor:
    """(M,) indices of at most `num` misclassified images, the most confident first.

    Args:
        probabilities: (N, K).
        labels: (N,) int64.
        num: largest M.

    Raises:
        MetricError: probabilities that are not finite.

    >>> confident_mistakes(torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]), torch.tensor([1, 1, 1]), 5).tolist()
    [1, 0]
    """
    _check_finite(probabilities)
    confidence, predicted = probabilities.max(1)
    wrong = (predicted != labels).nonzero().flatten()
    return wrong[confidence[wrong].argsort(descending=True, stable=True)][:num]


def calibration(probabilities: Tensor, labels: Tensor, *, num_bins: int = NUM_BINS) -> Calibration:
    """Bins of equal width and the expected calibration error.

    Args:
        probabilities: (N, K), N >= 1.
        labels: (N,) int64.
        num_bins: B.

    Raises:
        MetricError: probabilities that are not finite.

    >>> calibration(torch.tensor([[0.8, 0.2], [0.8, 0.2]]), torch.tensor([0, 1])).error
    0.30000001192092896
    """
    _check_finite(probabilities)
    probabilities = probabilities.double()
    confidence, predicted = probabilities.max(1)
    right = (predicted == labels).double()
    bin_indices = (confidence * num_bins).ceil().long().clamp(1, num_bins) - 1
    counts = torch.bincount(bin_indices, minlength=num_bins)
    sums = [torch.bincount(bin_indices, weights=values, minlength=num_bins) / counts for values in (confidence, right)]
    gaps = (sums[1] - sums[0]).abs().masked_fill(counts == 0, 0.0)
    bins = tuple(
        CalibrationBin(index / num_bins, (index + 1) / num_bins, int(n), float(p), float(a))
        for index, (n, p, a) in enumerate(zip(counts, *sums, strict=True))
    )
    true = probabilities.gather(1, labels[:, None]).clamp(min=1e-300)
    return Calibration(
        bins,
        error=float((counts.double() / len(labels) * gaps).sum()),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        log_loss=float(-true.log().mean()),
    )


def _check_finite(probabilities: Tensor) -> None:
    bad = ~probabilities.isfinite().all(1)
    if bad.any():
        listed = ", ".join(map(str, bad.nonzero().flatten()[:5].tolist())) + ", ..." * (int(bad.sum()) > 5)
        raise MetricError(
            f"{int(bad.sum())} of {len(bad)} rows of probabilities hold NaN or infinity (row {listed}): the classifier "
            "fails on these images"
        )

"""Metrics of generated images (paper, section 4): features, probabilities or images in, a number out."""

from improved_gan.metrics.birthday_paradox import SupportSize, duplicate_threshold, support_size
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.frechet_distance import FeatureStatistics, feature_frechet_distance, frechet_distance
from improved_gan.metrics.inception_score import InceptionScore, Score, inception_score
from improved_gan.metrics.kernel_inception_distance import (
    KernelInceptionDistance,
    kernel_inception_distance,
    polynomial_mmd,
)
from improved_gan.metrics.memorization import Memorization, memorization
from improved_gan.metrics.nearest_neighbors import Neighbors, nearest
from improved_gan.metrics.precision_recall import PrecisionRecall, precision_recall
from improved_gan.metrics.score_report import ScoreReport

__all__ = [
    "FeatureStatistics",
    "InceptionScore",
    "KernelInceptionDistance",
    "Memorization",
    "MetricError",
    "Neighbors",
    "PrecisionRecall",
    "Score",
    "ScoreReport",
    "SupportSize",
    "duplicate_threshold",
    "feature_frechet_distance",
    "frechet_distance",
    "inception_score",
    "kernel_inception_distance",
    "memorization",
    "nearest",
    "polynomial_mmd",
    "precision_recall",
    "support_size",
]

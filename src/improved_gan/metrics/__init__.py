"""Metrics of generated images (paper, section 4): functions from features, probabilities or images to a number."""

from improved_gan.metrics.birthday_paradox import SupportSize, duplicate_threshold, support_size
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.frechet_distance import (
    ExtrapolatedFrechetDistance,
    FeatureStatistics,
    extrapolated_frechet_distance,
    feature_frechet_distance,
    frechet_distance,
)
from improved_gan.metrics.inception_score import InceptionScore, Score, inception_score
from improved_gan.metrics.kernel_distance import (
    KernelInceptionDistance,
    cmmd,
    kernel_inception_distance,
    maximum_mean_discrepancy,
    polynomial_kernel,
    rbf_kernel,
)
from improved_gan.metrics.memorization import Memorization, memorization
from improved_gan.metrics.nearest_neighbors import Neighbors, nearest
from improved_gan.metrics.precision_recall import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from improved_gan.metrics.score_report import ScoreReport
from improved_gan.metrics.streaming import FeatureMetric, FrechetDistance
from improved_gan.metrics.vendi_score import vendi_score

__all__ = [
    "DensityCoverage",
    "ExtrapolatedFrechetDistance",
    "FeatureMetric",
    "FeatureStatistics",
    "FrechetDistance",
    "InceptionScore",
    "KernelInceptionDistance",
    "Memorization",
    "MetricError",
    "Neighbors",
    "PrecisionRecall",
    "Score",
    "ScoreReport",
    "SupportSize",
    "cmmd",
    "density_coverage",
    "duplicate_threshold",
    "extrapolated_frechet_distance",
    "feature_frechet_distance",
    "frechet_distance",
    "inception_score",
    "kernel_inception_distance",
    "maximum_mean_discrepancy",
    "memorization",
    "nearest",
    "polynomial_kernel",
    "precision_recall",
    "rbf_kernel",
    "support_size",
    "vendi_score",
]

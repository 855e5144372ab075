"""Judging pictures (paper, section 4): features, probabilities or images in, a number out."""

from improved_gan.metrics.birthday import DistinctSamples, distinct_samples, duplicate_threshold
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.frechet_distance import FeatureStatistics, feature_frechet_distance, frechet_distance
from improved_gan.metrics.inception_score import InceptionScore, Score, inception_score
from improved_gan.metrics.kernel_distance import KernelDistance, kernel_distance, polynomial_mmd
from improved_gan.metrics.memorisation import Memorisation, memorisation
from improved_gan.metrics.neighbours import Neighbours, nearest
from improved_gan.metrics.precision_recall import PrecisionRecall, precision_recall
from improved_gan.metrics.score_report import ScoreReport

__all__ = [
    "DistinctSamples",
    "FeatureStatistics",
    "InceptionScore",
    "KernelDistance",
    "Memorisation",
    "MetricError",
    "Neighbours",
    "PrecisionRecall",
    "Score",
    "ScoreReport",
    "distinct_samples",
    "duplicate_threshold",
    "feature_frechet_distance",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "memorisation",
    "nearest",
    "polynomial_mmd",
    "precision_recall",
]

"""Every metric from the features on disk, in memory that does not grow with the number of images.

The score and the Fréchet distance read the features once, chunk by chunk. KID, precision and recall, nearest
images and the birthday paradox test work on a matrix that lies in a file and is read in pieces.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from improved_gan.metrics.birthday_paradox import duplicate_threshold, support_size
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.extraction import FeatureSet
from improved_gan.metrics.frechet_distance import FeatureStatistics, frechet_distance
from improved_gan.metrics.inception_score import InceptionScore
from improved_gan.metrics.kernel_inception_distance import kernel_inception_distance
from improved_gan.metrics.memorization import memorization
from improved_gan.metrics.precision_recall import precision_recall
from improved_gan.metrics.score_report import has_low_confidence

__all__ = ["NEED_IMAGES", "NEED_REFERENCE", "count", "evaluate", "random_order", "statistics_of"]

NEED_REFERENCE = ("fid", "kid", "precision-recall", "nearest")
NEED_IMAGES = ("kid", "precision-recall", "nearest")  # statistics of the reference are not enough
SHUFFLE_SEED = 2020  # torch-fidelity's: with it the splits are the same, too
_KID_SUBSET = 1000


def count(features: FeatureSet) -> int:
    """The number of images that could be decoded."""
    return sum(len(chunk.good) for chunk in features)


def random_order(num: int) -> Tensor:
    """(N,) the position of each image after a shuffle, the same as torch-fidelity's."""
    order = np.random.RandomState(SHUFFLE_SEED).permutation(num)
    positions = np.empty(num, dtype=np.int64)
    positions[order] = np.arange(num)
    return torch.from_numpy(positions)


def evaluate(
    names: Sequence[str],
    generated: FeatureSet,
    reference: FeatureSet | FeatureStatistics | None,
    *,
    splits: int = 10,
    shuffle: bool = True,
) -> tuple[dict[str, Any], list[str]]:
    """The metrics by name, ready for JSON, and warnings.

    Args:
        names: of "is", "fid", "kid", "precision-recall", "nearest", "birthday".
        generated: images to evaluate.
        reference: real images, or their statistics (fid only).
        splits: of the Inception score.
        shuffle: put the images in a fixed random order before they are cut into splits.

    Raises:
        MetricError: a metric that needs what is not given, or too few images.
    """
    found: dict[str, Any] = {}
    warnings: list[str] = []
    if "is" in names:
        found["is"] = _score(generated, splits, shuffle)
        warnings += found["is"].pop("warnings")
    if "fid" in names:
        assert reference is not None
        real = reference if isinstance(reference, FeatureStatistics) else statistics_of(reference)
        fake = statistics_of(generated)
        found["fid"] = {"value": frechet_distance(fake, real), "images": fake.count, "reference_images": real.count}
        if any(one.count is not None and one.count < len(fake.mean) for one in (fake, real)):
            warnings.append(f"fid: fewer images than its {len(fake.mean)} features; it is biased upwards, most so here")
    pairs = [name for name in names if name in ("kid", "precision-recall", "nearest", "birthday")]
    if pairs:
        samples = _matrix(generated)
        real_rows = _matrix(reference) if isinstance(reference, FeatureSet) else None
        found |= {name: _from_rows(name, samples, real_rows) for name in pairs}
        if "birthday" in pairs and real_rows is not None and len(real_rows) < len(samples):
            warnings.append(
                f"birthday: {len(real_rows)} real images for {len(samples)} samples: the nearest two of fewer images "
                "lie farther apart, so too many samples count as duplicates; give as many real images"
            )
    if isinstance(reference, FeatureSet):
        warnings += _confidence_warning(reference)
    return found, warnings


def statistics_of(features: FeatureSet) -> FeatureStatistics:
    """Mean and covariance, kept in the cache under the digest of the content."""
    known = features.cache.load_statistics(features.digest)
    if known is not None:
        return known
    statistics: FeatureStatistics | None = None
    for chunk in features:
        if chunk.good:
            statistics = statistics or FeatureStatistics(chunk.features.shape[1])
            statistics.update(chunk.features)
    if statistics is None:
        raise MetricError("no image could be decoded: there is nothing to compute statistics of")
    features.cache.save_statistics(features.digest, statistics)
    return statistics


def _score(features: FeatureSet, splits: int, shuffle: bool) -> dict[str, Any]:
    num = count(features)
    positions = random_order(num) if shuffle else torch.arange(num)
    score: InceptionScore | None = None
    start = 0
    for chunk in features:
        if not chunk.good:
            continue
        score = score or InceptionScore(chunk.logits.shape[1], num, splits=splits)
        here = positions[start : start + len(chunk.good)]
        score.update(chunk.logits.double().softmax(1), here)
        start += len(chunk.good)
    if score is None:
        raise MetricError("no image could be decoded: there is nothing to score")
    return asdict(score.compute()) | {"order": f"shuffled, seed {SHUFFLE_SEED}" if shuffle else "by name"}


def _confidence_warning(reference: FeatureSet) -> list[str]:
    """A warning where the network has a low confidence on real images, as on images unlike its training data."""
    largest = [float(chunk.logits.double().softmax(1).max(1).values.sum()) for chunk in reference if chunk.good]
    confidence = sum(largest) / max(1, count(reference))
    num_classes = max((chunk.logits.shape[1] for chunk in reference if chunk.good), default=1)
    if not has_low_confidence(confidence, num_classes):
        return []
    return [
        f"the network has a low confidence on the real images, too (mean largest probability {confidence:.2f}): they "
        "are unlike its training data, and its Inception score means little"
    ]


def _matrix(features: FeatureSet) -> Tensor:
    """(N, A) float32 in an unnamed file of the size that it takes, mapped into memory."""
    rows = [chunk.features.shape for chunk in features if chunk.good]
    total = sum(shape[0] for shape in rows)
    if not total:
        raise MetricError("no image could be decoded")
    matrix = _mapped(total, rows[0][1])
    start = 0
    for chunk in features:
        if chunk.good:
            matrix[start : start + len(chunk.good)] = chunk.features
            start += len(chunk.good)
    return matrix


def _mapped(num: int, width: int) -> Tensor:
    with tempfile.TemporaryFile() as file:
        file.truncate(num * width * 4)
        return torch.from_numpy(np.memmap(file, dtype=np.float32, mode="r+", shape=(num, width)))


def _drawn(rows: Tensor, num: int) -> Tensor:
    """At most `num` rows, drawn at random: the first ones of a folder may be one class."""
    if num >= len(rows):
        return rows
    chosen = (random_order(len(rows)) < num).nonzero().flatten()
    drawn = _mapped(num, rows.shape[1])
    for start in range(0, num, _KID_SUBSET):
        drawn[start : start + _KID_SUBSET] = rows[chosen[start : start + _KID_SUBSET]]
    return drawn


def _from_rows(name: str, samples: Tensor, real: Tensor | None) -> dict[str, Any]:
    if name == "birthday":
        return _birthday(samples, real)
    if real is None:
        raise MetricError(f"{name} needs the images of a reference: --reference with a folder or an archive")
    if name == "kid":
        size = min(_KID_SUBSET, len(samples), len(real))
        subsets = 1 if size == len(samples) == len(real) else 100  # all subsets are the whole then
        distance = kernel_inception_distance(samples, real, subsets=subsets, subset_size=size)
        return {
            **distance._asdict(),
            "subsets": subsets,
            "subset_size": size,
            "seed": 2020,
            "kernel": "(x . y / A + 1)^3",
        }
    if name == "precision-recall":
        return {**precision_recall(samples, real)._asdict(), "neighbors": 3}
    near = memorization(samples, real)
    nearest = near.distances[:, 0].argsort()[:10]
    pairs = [[int(i), int(near.indices[i, 0]), float(near.distances[i, 0])] for i in nearest]
    return {
        "near_copy": near.near_copy,
        "expected": near.expected,
        "copies": near.copies,
        "median_distance": float(near.distances[:, 0].median()),
        "nearest": pairs,
    }


def _birthday(samples: Tensor, real: Tensor | None) -> dict[str, Any]:
    threshold = None if real is None else duplicate_threshold(_drawn(real, len(samples)))
    found = support_size(samples, threshold=threshold)
    return {
        "pairs": found.num_pairs,
        "distinct": found.num_distinct,
        "support": _number(found.support),
        "interval": [_number(one) for one in found.interval],
        "threshold": found.threshold,
        "nearest": found.pairs[:10].tolist(),
    }


def _number(value: float) -> float | None:
    """JSON knows no infinity."""
    return value if np.isfinite(value) else None

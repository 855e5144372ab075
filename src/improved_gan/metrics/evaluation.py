"""The metrics of `evaluate` from the features of images, in memory that does not grow with the number of images.

`METRICS` declares each metric once: what it needs and how it is computed; the lines that a report prints of it are in
`cli.format_report`. The score and the Fréchet distance read the features once, batch by batch. The others work on a
matrix (N, A) that lies in a file and is read in blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from improved_gan.metrics.birthday_paradox import duplicate_threshold, support_size
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.features import Features, FeatureTable, StatisticsTable, drawn_rows, random_order, table
from improved_gan.metrics.frechet_distance import FeatureStatistics, extrapolated_frechet_distance, frechet_distance
from improved_gan.metrics.inception_score import InceptionScore
from improved_gan.metrics.kernel_distance import cmmd, kernel_inception_distance
from improved_gan.metrics.memorization import memorization
from improved_gan.metrics.precision_recall import density_coverage, precision_recall
from improved_gan.metrics.score_report import has_low_confidence
from improved_gan.metrics.vendi_score import vendi_score

__all__ = ["METRICS", "Given", "Metric", "choose_metrics", "evaluate", "left_out"]

_KID_SUBSET = 1000
_SEED = 2020  # of KID's subsets and the shuffle: those of torch-fidelity

Advance = Callable[[float], object]


@dataclass(frozen=True)
class Inputs:
    """What a metric is computed from.

    Attributes:
        samples: the images to evaluate; of a file of statistics, these only.
        reference: real images, or their statistics; None where there is none.
        splits, shuffle: of the Inception score.
    """

    samples: FeatureTable | StatisticsTable
    reference: FeatureTable | StatisticsTable | None
    splits: int
    shuffle: bool

    @property
    def real(self) -> FeatureTable | None:
        """The reference's images; None where there are none."""
        return self.reference if isinstance(self.reference, FeatureTable) else None


@dataclass(frozen=True)
class Metric:
    """One metric of `evaluate`.

    Attributes:
        compute: its numbers, ready for JSON; a list under "warnings" is taken out and printed.
        needs: "nothing", "reference" (statistics are enough) or "images" of the reference.
    """

    compute: Callable[[Inputs, Advance], dict[str, Any]]
    needs: str = "nothing"


@dataclass(frozen=True)
class Given:
    """What there is to compute metrics from.

    Attributes:
        reference: whether there is a reference.
        images: whether the reference has images (or their features), not statistics only.
        sources: whether all that is evaluated has.
        logits: whether all that is evaluated has class scores, and not features only.
    """

    reference: bool = False
    images: bool = False
    sources: bool = True
    logits: bool = True

    def lacks(self, name: str) -> str | None:
        """Why a metric cannot be computed, with the remedy; None where it can."""
        needs = METRICS[name].needs
        if needs != "nothing" and not self.reference:
            return "compares with real images: name them with --reference FOLDER"
        if needs == "images" and not self.images:
            return "needs the reference's images, statistics are not enough: --reference FOLDER"
        if name != "fid" and not self.sources:
            return "needs images or features, statistics (mu and sigma) are enough for fid only"
        if name == "is" and not self.logits:
            return "needs logits, and there are features only"
        return None


def choose_metrics(names: str | None, given: Given) -> tuple[str, ...]:
    """The metrics of a comma-separated list; None for those that are usual, "all" for every one that can be computed.

    Raises:
        MetricError: an unknown name, a metric that needs what is not given, or none that can be computed.

    >>> choose_metrics(None, Given(reference=True)), choose_metrics("all", Given(logits=False))
    (('is', 'fid'), ('vendi', 'birthday'))
    """
    if names == "all":
        chosen = tuple(name for name in METRICS if given.lacks(name) is None)
    elif names is not None:
        chosen = tuple(dict.fromkeys(name.strip() for name in names.split(",")))
    elif not given.sources:
        chosen = ("fid",)
    else:
        usual = ("is", "fid", "kid") if given.images else ("is", "fid") if given.reference else ("is",)
        chosen = tuple(name for name in usual if given.lacks(name) is None) or ("vendi",)
    for name in chosen:
        if name not in METRICS:
            raise MetricError(
                f"there is no metric {name!r}: choose from {', '.join(METRICS)}, separated by commas, or all"
            )
        if (reason := given.lacks(name)) is not None:
            raise MetricError(f"{name} {reason}")
    if not chosen:
        raise MetricError("no metric can be computed of statistics (mu and sigma) alone: name others with --reference")
    return chosen


def left_out(names: str | None, given: Given) -> list[str]:
    """A line for each reason for which "all" leaves metrics out.

    >>> left_out("all", Given(reference=True, images=True, logits=False))
    ['left out: is needs logits, and there are features only']
    """
    reasons: dict[str, list[str]] = {}
    for name in METRICS if names == "all" else ():
        if (reason := given.lacks(name)) is not None:
            reasons.setdefault(reason, []).append(name)
    return [f"left out: {', '.join(some)} {_plural(reason, len(some))}" for reason, some in reasons.items()]


def _plural(reason: str, num: int) -> str:
    verb, rest = reason.split(" ", 1)
    return f"{verb if num == 1 else verb.removesuffix('s')} {rest}"


def evaluate(
    names: Sequence[str],
    generated: Features | FeatureStatistics,
    reference: Features | FeatureStatistics | None,
    *,
    splits: int = 10,
    shuffle: bool = True,
    advance: Callable[[str, float], object] = lambda name, fraction: None,
) -> tuple[dict[str, Any], list[str]]:
    """The metrics by name, ready for JSON, and warnings.

    Args:
        names: of `METRICS`.
        generated: images to evaluate, or their statistics (fid only).
        reference: real images, or their statistics (fid, fid-infinity only).
        splits: of the Inception score.
        shuffle: put the images in a fixed random order before they are cut into splits.
        advance: called with a metric's name and the fraction of its work done since the last call.

    Raises:
        MetricError: a metric that needs what is not given, or too few images.
    """
    found: dict[str, Any] = {}
    warnings: list[str] = []
    inputs = Inputs(table(generated), None if reference is None else table(reference), splits, shuffle)
    _check_widths(inputs)
    for name in names:
        if METRICS[name].needs == "images" and inputs.real is None:
            raise MetricError(f"{name} needs the images of a reference: --reference with a folder or an archive")
        try:
            found[name] = METRICS[name].compute(inputs, partial(advance, name))
        except MetricError as error:
            raise MetricError(f"{name}: {error}") from error
        warnings += found[name].pop("warnings", [])
    if inputs.real is not None:
        warnings += _confidence_warning(inputs.real.features)
    return found, warnings


def _check_widths(inputs: Inputs) -> None:
    """As many features on both sides: the metrics that look at each side alone would not notice another network."""
    widths = [None if one is None else one.width for one in (inputs.samples, inputs.reference)]
    if None not in widths and widths[0] != widths[1]:
        raise MetricError(
            f"the samples have {widths[0]} features an image and the reference {widths[1]}: make both with one network"
        )


def _score(inputs: Inputs, advance: Advance) -> dict[str, Any]:
    num = inputs.samples.features.num_images
    positions = random_order(num) if inputs.shuffle else torch.arange(num)
    score: InceptionScore | None = None
    start = 0
    for batch in inputs.samples.features.batches():
        if not batch.logits.shape[1]:
            raise MetricError("it needs logits, and there are features only: leave it out of --metrics")
        score = score or InceptionScore(batch.logits.shape[1], num, splits=inputs.splits)
        score.update(batch.logits.double().softmax(1), positions[start : start + len(batch.logits)])
        start += len(batch.logits)
        advance(len(batch.logits) / num)
    if score is None:
        raise MetricError("no image could be decoded: there is nothing to score")
    return asdict(score.compute()) | {"order": f"shuffled, seed {_SEED}" if inputs.shuffle else "by name"}


def _frechet(inputs: Inputs, advance: Advance) -> dict[str, Any]:
    assert inputs.reference is not None
    real, fake = (one.statistics(lambda part: advance(part / 2)) for one in (inputs.reference, inputs.samples))
    found: dict[str, Any] = {
        "value": frechet_distance(fake, real), "images": fake.count, "reference_images": real.count
    }  # fmt: skip
    if any(one.count is not None and one.count < len(fake.mean) for one in (fake, real)):
        text = f"fid: fewer images than its {len(fake.mean)} features; it is biased upwards, most so here"
        found["warnings"] = [text]
    return found


def _extrapolated_frechet(inputs: Inputs, advance: Advance) -> dict[str, Any]:
    assert inputs.reference is not None
    samples, real = inputs.samples.matrix, inputs.reference.statistics()
    found = extrapolated_frechet_distance(samples, real, advance=advance)
    content: dict[str, Any] = found._asdict() | {"images": len(samples), "seed": _SEED}
    if found.sizes[0] < samples.shape[1]:
        content["warnings"] = [
            f"fid-infinity: the line starts at {found.sizes[0]} images, fewer than the {samples.shape[1]} features: "
            "the bias is no line in 1/N there; give more images"
        ]
    return content


def _kernel(inputs: Inputs, advance: Advance) -> dict[str, Any]:
    samples, real = _pair(inputs)
    size = min(_KID_SUBSET, len(samples), len(real))
    subsets = 1 if size == len(samples) == len(real) else 100  # all subsets are the whole then
    found = kernel_inception_distance(samples, real, subsets=subsets, subset_size=size, seed=_SEED, advance=advance)
    kernel = "(x . y / A + 1)^3"
    return {**found._asdict(), "subsets": subsets, "subset_size": size, "seed": _SEED, "kernel": kernel}


def _cmmd(inputs: Inputs, advance: Advance) -> dict[str, Any]:
    samples, real = _pair(inputs)
    about = {"kernel": "exp(-|x - y|^2 / 200), |x| = |y| = 1", "scale": 1000, "estimate": "V-statistic"}
    return {
        "value": cmmd(samples, real, advance=advance),
        "images": len(samples),
        "reference_images": len(real),
        **about,
    }


def _precision_recall(inputs: Inputs, advance: Advance) -> dict[str, Any]:
    return {**precision_recall(*_pair(inputs), advance=advance)._asdict(), "neighbors": 3}


def _density_coverage(inputs: Inputs, advance: Advance) -> dict[str, Any]:
    return {**density_coverage(*_pair(inputs), advance=advance)._asdict(), "neighbors": 5}


def _vendi(inputs: Inputs, advance: Advance) -> dict[str, Any]:
    sides = [inputs.samples] if inputs.real is None else [inputs.samples, inputs.real]
    values = [vendi_score(one.matrix, advance=lambda part: advance(part / len(sides))) for one in sides]
    return {"value": values[0], "reference": values[1] if values[1:] else None, "similarity": "cosine", "order": 1}


def _nearest(inputs: Inputs, advance: Advance) -> dict[str, Any]:
    near = memorization(*_pair(inputs), advance=advance)
    nearest = near.distances[:, 0].argsort()[:10]
    return {
        "near_copy": near.near_copy,
        "expected": near.expected,
        "copies": near.copies,
        "median_distance": float(near.distances[:, 0].median()),
        "nearest": [[int(i), int(near.indices[i, 0]), float(near.distances[i, 0])] for i in nearest],
    }


def _birthday(inputs: Inputs, advance: Advance) -> dict[str, Any]:
    samples, warnings, threshold = inputs.samples.matrix, [], None
    share = 1.0 if inputs.real is None else 0.5
    if inputs.real is not None:
        real = inputs.real.matrix
        threshold = duplicate_threshold(drawn_rows(real, len(samples)), advance=lambda part: advance(part * share))
        if len(real) < len(samples):
            warnings.append(
                f"birthday: {len(real)} real images for {len(samples)} samples: the nearest two of fewer images "
                "lie farther apart, so too many samples count as duplicates; give as many real images"
            )
    found = support_size(samples, threshold=threshold, advance=lambda part: advance(part * share))
    return {
        "pairs": found.num_pairs,
        "distinct": found.num_distinct,
        "support": _number(found.support),
        "interval": [_number(one) for one in found.interval],
        "threshold": found.threshold,
        "nearest": found.pairs[:10].tolist(),
        "warnings": warnings,
    }


METRICS = {
    "is": Metric(_score),
    "fid": Metric(_frechet, "reference"),
    "fid-infinity": Metric(_extrapolated_frechet, "reference"),
    "kid": Metric(_kernel, "images"),
    "cmmd": Metric(_cmmd, "images"),
    "precision-recall": Metric(_precision_recall, "images"),
    "density-coverage": Metric(_density_coverage, "images"),
    "vendi": Metric(_vendi),
    "nearest": Metric(_nearest, "images"),
    "birthday": Metric(_birthday),
}


def _pair(inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
    assert inputs.real is not None
    return inputs.samples.matrix, inputs.real.matrix


def _confidence_warning(reference: Features) -> list[str]:
    """A warning where the network has a low confidence on real images, as on images unlike its training data."""
    total, num_classes = 0.0, 0
    for batch in reference.batches():
        num_classes = batch.logits.shape[1]
        total += float(batch.logits.double().softmax(1).amax(1).sum()) if num_classes else 0.0
    confidence = total / max(1, reference.num_images)
    if not has_low_confidence(confidence, max(1, num_classes)):
        return []
    return [
        f"the network has a low confidence on the real images, too (mean largest probability {confidence:.2f}): they "
        "are unlike its training data, and its Inception score means little"
    ]


def _number(value: float) -> float | None:
    """JSON knows no infinity."""
    return value if np.isfinite(value) else None

"""Compare several models: metrics with bootstrap intervals, and intervals of the differences between models.

In each of B bootstrap replicates image i of every model has the same weight (a Poisson(1) number that depends on i and
the replicate only), and so has each real image. The models are thus compared on the same draw of real images, and
where image i of two models comes from the same latent, on the same latents: what they share cancels in the difference.
A replicate that draws fewer than two different images, of the smallest model or of the real ones, is drawn again.

Replicates of the metrics: the Inception score and the Fréchet distance from weighted sums; KID and CMMD from weighted
sums of the kernel (for KID over pairs of different images only); precision, recall, density and coverage from the
weighted images with the balls as they are, which leaves out the variation of the balls. An interval of 95% is the value
plus the percentiles of the replicates around their own mean, as repeated images shift all replicates alike; it ends
where the number itself does (a precision at 0 and 1). The other metrics have values and no intervals.

Source: Efron and Tibshirani (1993), "An introduction to the bootstrap".

`comparison_figure` draws them: one panel a number, one dot and 95% interval a model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from improved_gan.metrics.bootstrap import usable_weights
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.features import Features, FeatureTable, random_order, table
from improved_gan.metrics.frechet_distance import FeatureStatistics, frechet_distance
from improved_gan.metrics.inception_score import InceptionScore
from improved_gan.metrics.kernel_distance import (
    Kernel,
    directions_kernel,
    polynomial_kernel,
    rbf_kernel,
    weighted_discrepancies,
)
from improved_gan.metrics.precision_recall import balls

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


__all__ = ["compare", "comparison_figure"]


_QUANTILES = torch.tensor([0.025, 0.975], dtype=torch.float64)
_BLOCK = 2048

# Metric of `evaluate` -> the numbers of it that are compared: key in its result -> name in the comparison.
_NUMBERS = {
    "is": {"mean": "Inception score"},
    "fid": {"value": "FID"},
    "fid-infinity": {"value": "FID infinity"},
    "kid": {"mean": "KID"},
    "cmmd": {"value": "CMMD"},
    "precision-recall": {"precision": "precision", "recall": "recall"},
    "density-coverage": {"density": "density", "coverage": "coverage"},
    "vendi": {"value": "Vendi score"},
    "nearest": {"near_copy": "near-copies"},
    "birthday": {"support": "support size"},
}


# What a number can be at all: its interval ends there. That of a difference does not.
_LIMITS = {
    "Inception score": (1.0, math.inf),
    "FID": (0.0, math.inf),
    "CMMD": (0.0, math.inf),
    "precision": (0.0, 1.0),
    "recall": (0.0, 1.0),
    "density": (0.0, math.inf),
    "coverage": (0.0, 1.0),
}


def compare(
    models: Mapping[str, Features | FeatureStatistics],
    metrics: Sequence[Mapping[str, Mapping[str, Any]]],
    reference: Features | FeatureStatistics | None,
    *,
    replicates: int = 100,
    seed: int = 0,
    splits: int = 10,
    shuffle: bool = True,
    advance: Callable[[str, float], object] = lambda name, fraction: None,
) -> dict[str, Any]:
    """Intervals of the metrics and of their differences, ready for JSON.

    Args:
        models: name -> features.
        metrics: of each model, the result of `evaluate`.
        reference: real images, or their statistics (which are then not resampled).
        replicates: B; 0 for values without intervals.
        seed: of the weights.
        splits: of the Inception score.
        shuffle: as for `evaluate`.
        advance: called with a metric's name and the fraction of the bootstrap's work done since the last call.

    Returns:
        `models` (names), `replicates`, `seed`, and `numbers`, which has for each name `values` (one a model),
        `intervals`, and `differences`, a list of `first`, `second` (indices of models), `value` (first - second) and
        `interval`.

    Raises:
        MetricError: fewer than two models, not as many metrics, or other numbers of features.
    """
    if len(models) < 2 or len(metrics) != len(models):
        raise MetricError(
            f"a comparison needs at least two models, and the metrics of each; got {len(models)} and {len(metrics)}"
        )
    widths = {table(one).width for one in models.values()}
    if len(widths) > 1:
        raise MetricError(f"the models have {', '.join(map(str, widths))} features an image: make all with one network")
    smallest = min((one.num_images for one in models.values() if not isinstance(one, FeatureStatistics)), default=0)
    draws = [
        None
        if not replicates or isinstance(one, FeatureStatistics)
        else _Bootstrap(FeatureTable(one), reference, replicates, seed, splits, shuffle, smallest)
        for one in models.values()
    ]
    numbers: dict[str, Any] = {}
    for name in metrics[0]:
        step = partial(_advance_part, advance, f"{name}: bootstrap", len(draws))
        drawn = [{} if draw is None else draw.of(name, step) for draw in draws]
        for key, title in _NUMBERS[name].items():
            numbers[title] = _number([one[name][key] for one in metrics], [one.get(key) for one in drawn], title)
    return {"models": list(models), "replicates": replicates, "seed": seed, "numbers": numbers}


def _advance_part(advance: Callable[[str, float], object], name: str, parts: int, fraction: float) -> None:
    advance(name, fraction / parts)


def _number(values: list[float | None], drawn: list[Tensor | None], title: str) -> dict[str, Any]:
    """Values, intervals and differences of one number."""
    differences = []
    for i, j in combinations(range(len(values)), 2):
        a, b, of_a, of_b = values[i], values[j], drawn[i], drawn[j]
        difference = None if a is None or b is None else a - b
        interval = None if of_a is None or of_b is None else _interval(difference, of_a - of_b)
        differences.append({"first": i, "second": j, "value": difference, "interval": interval})
    low, high = _LIMITS.get(title, (-math.inf, math.inf))
    found = [None if one is None else _interval(value, one) for value, one in zip(values, drawn, strict=True)]
    intervals = [None if one is None else [min(max(end, low), high) for end in one] for one in found]
    return {"values": values, "intervals": intervals, "differences": differences}


def _interval(value: float | None, replicates: Tensor) -> list[float] | None:
    if value is None or len(replicates) < 2:
        return None
    low, high = torch.quantile(replicates - replicates.mean(), _QUANTILES)
    return [value + float(low), value + float(high)]


class _Bootstrap:
    """The replicates of one model's metrics."""

    def __init__(
        self,
        model: FeatureTable,
        reference: Features | FeatureStatistics | None,
        replicates: int,
        seed: int,
        splits: int,
        shuffle: bool,
        smallest: int,
    ) -> None:
        self.model, self.replicates, self.seed, self.splits, self.shuffle = model, replicates, seed, splits, shuffle
        self.statistics = reference if isinstance(reference, FeatureStatistics) else None
        images = None if reference is None or isinstance(reference, FeatureStatistics) else reference
        self.real = None if images is None else FeatureTable(images)
        self.weights = usable_weights(model.features.num_images, replicates, smallest=smallest, seed=seed)
        num_real = 0 if self.real is None else self.real.features.num_images
        self.real_weights = usable_weights(num_real, replicates, seed=seed + 1)

    def of(self, name: str, advance: Callable[[float], object]) -> dict[str, Tensor]:
        """Key of the metric's number -> (B,); empty where the metric has no intervals."""
        makers = {
            "is": self._score,
            "fid": self._frechet,
            "kid": self._kernel,
            "cmmd": self._cmmd,
            "precision-recall": self._precision_recall,
            "density-coverage": self._density_coverage,
        }
        return makers[name](advance) if name in makers else {}

    def _score(self, advance: Callable[[float], object]) -> dict[str, Tensor]:
        features = self.model.features
        order = random_order(features.num_images) if self.shuffle else torch.arange(features.num_images)
        score, start = None, 0
        for batch in features.batches():
            score = score or InceptionScore(
                batch.logits.shape[1], len(order), splits=self.splits, replicates=self.replicates, seed=self.seed
            )
            score.update(batch.logits.double().softmax(1), order[start : start + len(batch.logits)])
            start += len(batch.logits)
            advance(len(batch.logits) / len(order))
        assert score is not None
        return {"mean": score.replicate_means()}

    def _frechet(self, advance: Callable[[float], object]) -> dict[str, Tensor]:
        values = []
        for index in range(self.replicates):
            fake = _weighted_statistics(self.model, self.weights[:, index])
            real = self.statistics
            if self.real is not None:
                real = _weighted_statistics(self.real, self.real_weights[:, index])
            assert real is not None
            values.append(frechet_distance(fake, real))
            advance(1 / self.replicates)
        return {"value": torch.tensor(values, dtype=torch.float64)}

    def _kernel(self, advance: Callable[[float], object]) -> dict[str, Tensor]:
        return {"mean": self._discrepancies(polynomial_kernel, advance, unbiased=True)}

    def _cmmd(self, advance: Callable[[float], object]) -> dict[str, Tensor]:
        return {"value": 1000 * self._discrepancies(directions_kernel(rbf_kernel(10.0)), advance, unbiased=False)}

    def _discrepancies(self, kernel: Kernel, advance: Callable[[float], object], *, unbiased: bool) -> Tensor:
        assert self.real is not None
        return weighted_discrepancies(
            self.model.matrix, self.real.matrix, self.weights, self.real_weights, kernel=kernel, unbiased=unbiased,
            advance=advance,
        )  # fmt: skip

    def _precision_recall(self, advance: Callable[[float], object]) -> dict[str, Tensor]:
        assert self.real is not None
        inside, _ = balls(self.model.matrix, self.real.matrix, 3, advance=lambda part: advance(part / 2))
        covered, _ = balls(self.real.matrix, self.model.matrix, 3, advance=lambda part: advance(part / 2))
        return {
            "precision": _weighted_means(inside > 0, self.weights),
            "recall": _weighted_means(covered > 0, self.real_weights),
        }

    def _density_coverage(self, advance: Callable[[float], object]) -> dict[str, Tensor]:
        assert self.real is not None
        counts, holds = balls(self.model.matrix, self.real.matrix, 5, advance=advance)
        return {
            "density": _weighted_means(counts, self.weights) / 5,
            "coverage": _weighted_means(holds, self.real_weights),
        }


def _weighted_statistics(table: FeatureTable, weights: Tensor) -> FeatureStatistics:
    statistics = FeatureStatistics(table.matrix.shape[1])
    for rows, part in zip(torch.split(table.matrix, _BLOCK), torch.split(weights, _BLOCK), strict=True):
        statistics.update(rows, part)
    return statistics


def _weighted_means(values: Tensor, weights: Tensor) -> Tensor:
    """(N,), (N, B) -> (B,)."""
    return values.double() @ weights / weights.sum(0)


_COLUMNS = 3
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F")  # Okabe & Ito, 2008
_READING = {  # what the best value of each number of `compare` is
    "Inception score": "higher is better",
    "FID": "0 is best",
    "FID infinity": "0 is best",
    "KID": "0 is best",
    "CMMD": "0 is best",
    "precision": "1 is best",
    "recall": "1 is best",
    "density": "1 as real images",
    "coverage": "higher is better",
    "Vendi score": "best as real images",
    "near-copies": "best as new images",
    "support size": "higher is better",
}


def comparison_figure(comparison: dict[str, Any]) -> Figure:
    """The numbers of `compare`, without a window or global state; save it with `savefig`.

    Raises:
        ModuleNotFoundError: matplotlib is not installed; the message names the command that installs it.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plots need matplotlib: pip install 'improved-gan[plots]'") from error
    numbers, models = comparison["numbers"], [_short(name) for name in comparison["models"]]
    columns = min(_COLUMNS, len(numbers))
    rows = math.ceil(len(numbers) / columns)
    figure = Figure(figsize=(1.2 + 3.2 * columns, 0.8 + rows * (1.0 + 0.28 * len(models))), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for index, (panel, (title, number)) in enumerate(zip(panels, numbers.items(), strict=False)):
        _draw(panel, title, number, models if index % columns == 0 else [""] * len(models))
    for panel in panels[len(numbers) :]:
        panel.set_visible(False)
    if comparison["replicates"]:
        figure.suptitle(f"95% intervals, {comparison['replicates']} bootstrap replicates", fontsize=9)
    return figure


def _draw(panel: Axes, title: str, number: dict[str, Any], names: list[str]) -> None:
    for place, (value, interval) in enumerate(zip(number["values"], number["intervals"], strict=True)):
        if value is None:
            continue
        color = _COLORS[place % len(_COLORS)]
        if interval is not None:
            panel.plot(interval, [place, place], color=color, linewidth=2, solid_capstyle="butt")
        panel.plot([value], [place], "o", color=color, markersize=6)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_title(f"{title} ({_READING[title]})", fontsize=9)
    panel.grid(axis="x", alpha=0.3)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"...{name[-21:]}"

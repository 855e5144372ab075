"""Features of images for the metrics: in batches, as statistics, or as one matrix in a file."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.frechet_distance import FeatureStatistics
from improved_gan.metrics.inception import Outputs

__all__ = ["FeatureTable", "Features", "StatisticsTable", "drawn_rows", "random_order", "repetitions", "table"]

_SHUFFLE_SEED = 2020  # torch-fidelity's: with it the splits of the score are the same, too
_BLOCK = 2048
_LISTED = 5  # repeated images that a warning names


class Features(Protocol):
    """Features (and logits, where the network has them) of images, on disk, in the order of the images."""

    @property
    def digest(self) -> str:
        """SHA-256 of what they are computed from."""

    @property
    def num_images(self) -> int:
        """The number of images that have features."""

    def batches(self) -> Iterator[Outputs]:
        """Features (M, A) and logits (M, K) in batches, none empty; K = 0 where there are no logits."""

    def row_hashes(self) -> Iterator[str]:
        """Of what each row stands for: rows of the same image have the same."""

    def matrix(self) -> Tensor | None:
        """(N, A), where they lie in one file already."""

    def load_statistics(self) -> FeatureStatistics | None:
        """Statistics that were computed before."""

    def save_statistics(self, statistics: FeatureStatistics) -> None:
        """Keep them for the next time."""


class FeatureTable:
    """Features with what several metrics ask for, computed once: the matrix and the statistics."""

    def __init__(self, features: Features) -> None:
        self.features = features
        self._statistics: FeatureStatistics | None = None

    @property
    def width(self) -> int | None:
        """A; None where no image has features."""
        return next((batch.features.shape[1] for batch in self.features.batches()), None)

    @cached_property
    def matrix(self) -> Tensor:
        """(N, A) in the dtype of the features, mapped from a file: unnamed, of the size that it takes, or the user's.

        Raises:
            MetricError: no image has features.
        """
        known = self.features.matrix()
        if known is not None:
            return known
        matrix: Tensor | None = None
        start = 0
        for batch in self.features.batches():
            if matrix is None:
                matrix = _mapped(self.features.num_images, batch.features.shape[1], batch.features.dtype)
            matrix[start : start + len(batch.features)] = batch.features
            start += len(batch.features)
        if matrix is None:
            raise MetricError("no image could be decoded")
        return matrix

    def statistics(self, advance: Callable[[float], object] = lambda fraction: None) -> FeatureStatistics:
        """Mean and covariance, kept for the next time.

        `advance` is called with the fraction of the work done since the last call.

        Raises:
            MetricError: no image has features.
        """
        self._statistics = self._statistics or self.features.load_statistics()
        if self._statistics is not None:
            advance(1.0)
            return self._statistics
        statistics: FeatureStatistics | None = None
        for rows in _joined(batch.features for batch in self.features.batches()):
            statistics = statistics or FeatureStatistics(rows.shape[1])
            statistics.update(rows)
            advance(len(rows) / self.features.num_images)
        if statistics is None:
            raise MetricError("no image could be decoded: there is nothing to compute statistics of")
        self.features.save_statistics(statistics)
        self._statistics = statistics
        return statistics


class StatisticsTable:
    """The statistics of a file in place of features: enough for the Fréchet distance, and for nothing else."""

    def __init__(self, given: FeatureStatistics) -> None:
        self._given = given

    @property
    def width(self) -> int:
        """A."""
        return len(self._given.mean)

    def statistics(self, advance: Callable[[float], object] = lambda fraction: None) -> FeatureStatistics:
        """As the file has them."""
        advance(1.0)
        return self._given

    @property
    def features(self) -> Features:
        """There are none: MetricError."""
        raise MetricError("statistics (mu and sigma) are enough for fid only: give images or features")

    @property
    def matrix(self) -> Tensor:
        """There is none: MetricError."""
        raise MetricError("statistics (mu and sigma) are enough for fid only: give images or features")


def table(given: Features | FeatureStatistics) -> FeatureTable | StatisticsTable:
    """Features or statistics, with what the metrics ask for."""
    return StatisticsTable(given) if isinstance(given, FeatureStatistics) else FeatureTable(given)


def _joined(batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """The same rows in blocks: an update with a block of 2048 x 2048 costs a thirteenth of 64 updates with 32 rows."""
    waiting: list[Tensor] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= _BLOCK:
            yield torch.cat(waiting)
            waiting = []
    if waiting:
        yield torch.cat(waiting)


def repetitions(label: str, names: Iterable[str], hashes: Iterable[str]) -> list[str]:
    """A warning that names images which are there twice, or none.

    >>> repetitions("a.npz", ["x.png", "y.png", "z.png"], ["1", "2", "1"])
    ['a.npz: 1 of 3 images repeats an earlier one (z.png is x.png): a set with repetitions counts as a smaller one']
    """
    known: dict[str, str] = {}
    pairs = ((name, known.setdefault(one, name)) for name, one in zip(names, hashes, strict=True))
    found = [(name, first) for name, first in pairs if name != first]
    if not found:
        return []
    listed = ", ".join(f"{name} is {first}" for name, first in found[:_LISTED]) + ", ..." * (len(found) > _LISTED)
    num, verb = len(known) + len(found), "repeats" if len(found) == 1 else "repeat"
    return [
        f"{label}: {len(found)} of {num} images {verb} an earlier one ({listed}): a set with repetitions counts as a "
        "smaller one"
    ]


def random_order(num: int) -> Tensor:
    """(N,) the position of each image after a shuffle, the same as torch-fidelity's."""
    order = np.random.RandomState(_SHUFFLE_SEED).permutation(num)
    positions = np.empty(num, dtype=np.int64)
    positions[order] = np.arange(num)
    return torch.from_numpy(positions)


def drawn_rows(rows: Tensor, num: int) -> Tensor:
    """At most `num` rows of (N, A), drawn at random, in their dtype: the first ones of a folder may be one class.

    >>> drawn_rows(torch.full((3, 1), 1e8 + 1, dtype=torch.float64), 1).tolist()
    [[100000001.0]]
    """
    if num >= len(rows):
        return rows
    chosen = (random_order(len(rows)) < num).nonzero().flatten()
    drawn = _mapped(num, rows.shape[1], rows.dtype)
    for start in range(0, num, _BLOCK):
        drawn[start : start + _BLOCK] = rows[chosen[start : start + _BLOCK]]
    return drawn


def _mapped(num: int, width: int, dtype: torch.dtype) -> Tensor:
    """(num, width) zeros in an unnamed file."""
    size = num * width * dtype.itemsize
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        content = np.memmap(file, dtype=np.uint8, mode="r+", shape=(size,))
    return torch.from_numpy(content).view(dtype).view(num, width)

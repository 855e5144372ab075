"""Percentiles of the pixel values of many images, exactly and in bounded memory, whatever the order of the images.

A value counts as float32, whose bits, the sign bit inverted, are in the order of the numbers. A first pass counts the
upper 16 bits of each, which gives the one of 65,536 bins that a percentile is in; a second counts the lower 16 bits
there. Integers from 0 to 65535 are counted one by one, so that images of 16 bits take one pass.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from improved_gan.console import progress_bar
from improved_gan.data.dataset import DataError
from improved_gan.data.image_index import ImageIndex
from improved_gan.data.image_sources import Read
from improved_gan.data.images import read_values
from improved_gan.data.ordered_map import chunked, ordered_map

__all__ = ["ValueCounts", "percentiles_of", "stream_of"]

_CHUNK = 16
_BOXES = 2**16
_SIGN = np.uint32(2**31)


class ValueCounts:
    """How often each value occurs; the percentiles of what was added.

    The percentile p is the smallest value such that at least p per cent of all are not above it, and the smallest of
    all for p = 0: a value that occurs.

    >>> counts = ValueCounts([0, 50, 100])
    >>> counts.add(np.array([7, 1, 5, 300], dtype=np.uint16))
    >>> counts.percentiles()
    {0: 1.0, 50: 5.0, 100: 300.0}
    """

    def __init__(self, percentiles: Sequence[float]) -> None:
        self._wanted = tuple(percentiles)
        self._whole = np.zeros(_BOXES, np.int64)  # integers 0..65535
        self._upper = np.zeros(_BOXES, np.int64)  # the others
        self._lower: dict[int, NDArray[np.int64]] | None = None  # of the bins that percentiles are in

    def add(self, numbers: NDArray[np.generic]) -> None:
        """Count numbers of any type, none of them NaN."""
        if self._lower is None and numbers.dtype.kind in "iu" and numbers.min() >= 0 and numbers.max() < _BOXES:
            self._whole += np.bincount(numbers.reshape(-1).astype(np.int64), minlength=_BOXES)
            return
        self._add_keys(_keys(numbers.reshape(-1)), None)

    def merge(self, other: "ValueCounts") -> None:
        """Add what another one has counted in the same pass."""
        self._whole += other._whole
        self._upper += other._upper
        for box, counts in (self._lower or {}).items():
            counts += (other._lower or {})[box]

    def empty(self) -> "ValueCounts":
        """One for a part of the same pass."""
        part = ValueCounts(self._wanted)
        part._lower = None if self._lower is None else {box: np.zeros(_BOXES, np.int64) for box in self._lower}
        return part

    @property
    def total(self) -> int:
        """How many numbers were counted in the first pass."""
        return int(self._whole.sum() + self._upper.sum())

    def needs_second_pass(self) -> bool:
        """Whether all has to be added once more; to be asked after the first pass."""
        if not self._upper.any():
            return False
        values = np.flatnonzero(self._whole)
        self._add_keys(_keys(values), self._whole[values])
        self._whole = np.zeros_like(self._whole)
        self._lower = {self._box(one)[0]: np.zeros(_BOXES, np.int64) for one in self._wanted}
        return True

    def percentiles(self) -> dict[float, float]:
        """Value by percentile."""
        return {one: self._percentile(one) for one in self._wanted}

    def _add_keys(self, keys: NDArray[np.uint32], times: NDArray[np.int64] | None) -> None:
        upper = (keys >> np.uint32(16)).astype(np.int64)
        if self._lower is None:
            self._upper += np.bincount(upper, times, _BOXES).astype(np.int64)
            return
        for box, counts in self._lower.items():
            counts += np.bincount((keys[upper == box] & np.uint32(0xFFFF)).astype(np.int64), minlength=_BOXES)

    def _percentile(self, percentile: float) -> float:
        if not self._upper.any():
            return float(_place(self._whole, self._rank(percentile))[0])
        box, rank = self._box(percentile)
        assert self._lower is not None
        return _number((box << 16) | _place(self._lower[box], rank)[0])

    def _box(self, percentile: float) -> tuple[int, int]:
        return _place(self._upper, self._rank(percentile))

    def _rank(self, percentile: float) -> int:
        """How many numbers are to be passed, from 1 on; of the decimal number, as 0.07 * 100 is above 7 in binary."""
        return max(1, math.ceil(self.total * Fraction(str(percentile)) / 100))


def percentiles_of(
    scan: ImageIndex, percentiles: Sequence[float], *, rows: Callable[[Collection[int]], Sequence[int]], workers: int
) -> dict[float, float]:
    """Percentiles of the values in the central squares of images.

    Every image is read, as one that cannot be used may change which are trained on.

    Args:
        scan: all images.
        percentiles: 0..100.
        rows: those of the scan that count, given those that cannot be used.
        workers: threads that read.

    Raises:
        DataError: no image that counts can be used.
    """
    bad: set[int] = set()
    while True:
        chosen, counts = frozenset(rows(bad)), ValueCounts(percentiles)
        found = _count(scan, counts, chosen, workers)
        if not found <= bad:
            bad |= found
            continue
        if not counts.total:
            raise DataError(f"no pixel value of {scan.source.path} can be read, so there are no percentiles")
        if counts.needs_second_pass():
            _count(scan, counts, chosen, workers)
        return counts.percentiles()


def stream_of(scan: ImageIndex) -> Iterator[tuple[int, tuple[str, Read]]]:
    """Row, name and reader of each image of a scan."""
    wanted = np.zeros(len(scan.source), dtype=np.bool_)
    wanted[scan.rows] = True
    yield from enumerate(compress(scan.source.stream(), wanted))


def _count(scan: ImageIndex, counts: ValueCounts, chosen: Collection[int], workers: int) -> set[int]:
    """One pass; returns the rows that cannot be used."""

    def look(chunk: list[tuple[int, tuple[str, Read]]]) -> tuple[ValueCounts, list[int]]:
        part, bad = counts.empty(), []
        for row, (_, read) in chunk:
            try:
                numbers = read_values(read(), "it").numbers
            except (DataError, OSError):
                bad.append(row)
                continue
            if row in chosen:
                part.add(numbers)
        return part, bad

    bad: set[int] = set()
    with progress_bar("measuring", total=len(scan)) as advance:
        for part, wrong in ordered_map(look, chunked(stream_of(scan), _CHUNK), workers=workers):
            counts.merge(part)
            bad.update(wrong)
            advance(_CHUNK)
    return bad


def _keys(numbers: NDArray[np.generic]) -> NDArray[np.uint32]:
    """uint32 in the order of the numbers; -0 is 0."""
    bits = (numbers.astype(np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _number(key: int) -> float:
    bits = np.array([key], np.uint32)
    return float(np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float32)[0])


def _place(counts: NDArray[np.int64], rank: int) -> tuple[int, int]:
    """The bin of the number of this rank, and its rank there."""
    sums = counts.cumsum()
    index = int(np.searchsorted(sums, rank))
    return index, rank - int(sums[index - 1] if index else 0)

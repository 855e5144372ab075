"""Detects images that use a small part of the range from black to white, such as 12-bit values in 16-bit files."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from improved_gan.data.dataset import DataError
from improved_gan.data.images import FileValues, read_values
from improved_gan.data.value_range import ValueRange
from improved_gan.data.value_statistics import ValueCounts

__all__ = ["MEASURED", "RangeWatch", "uses_little"]

MEASURED = 16  # images whose own values are looked at, for the words of the warning
_FEW_LEVELS = 64  # of 256
_OUTLIERS = 0.001  # fraction of the pixels at either end that does not count: hot and dead pixels of a sensor


class RangeWatch:
    """Counts gray levels over the images that are read, and warns where few are used.

    Args:
        values: the range that the images were read with, or None.
        percentiles: whether the caller's `--value-range` takes percentiles, which need training images.

    >>> import torch
    >>> watch = RangeWatch()
    >>> watch.add(torch.arange(16, dtype=torch.uint8))
    >>> watch.warning()  # doctest: +ELLIPSIS
    'the images use gray levels 0 to 15 of 0 to 255: unless that is meant, ...'
    """

    def __init__(self, values: ValueRange | None = None, *, percentiles: bool = False) -> None:
        self.values, self._percentiles = values, percentiles
        self._levels = np.zeros(256, np.int64)
        self._files: list[FileValues] = []

    def add(self, pixels: Tensor) -> None:
        """Count the gray levels of images, uint8 of any shape."""
        self._levels += np.bincount(pixels.numpy().reshape(-1), minlength=256)

    def measure(self, contents: Iterable[tuple[str, bytes]]) -> None:
        """Look at some files' own values, which the warning then names; (name, content) of each."""
        for name, content in contents:
            if len(self._files) == MEASURED:
                return
            try:
                self._files.append(read_values(content, name))
            except DataError:  # reported where images are decoded
                continue

    @property
    def small(self) -> bool:
        """Whether all but outliers are within a quarter of black to white."""
        low, high = _ends(self._levels)
        return bool(self._levels.any()) and high - low < _FEW_LEVELS

    def warning(self) -> str | None:
        """What is odd and what to do; None where nothing is."""
        if not self.small:
            return None
        low, high = _ends(self._levels)
        found = f"the images use gray levels {low} to {high} of 0 to 255"
        if self.values is not None:
            return f"with the value range {self.values} {found}: it may not be meant for these images"
        if not self._files:
            return f"{found}: {self._remedy('LOW:HIGH')}"
        if any(one.colored and one.bits > 8 for one in self._files):
            return (
                f"{found}: they are in color with more than 8 bits a channel, of which only the upper 8 are read: "
                "convert them to 8 bits over the range that they use"
            )
        return self._with_values(found)

    def _with_values(self, found: str) -> str:
        counts = ValueCounts([0, 100])
        for again in (False, True):
            if again and not counts.needs_second_pass():
                break
            for one in self._files:
                counts.add(one.numbers)
        low_value, high_value = counts.percentiles().values()
        bits = max(one.bits for one in self._files)
        white = max((one.natural.high for one in self._files if one.natural), default=255)
        return (
            f"{found}: the files hold values from {low_value:g} to {high_value:g}, and white is {white:g} "
            f"({bits} bits): {self._remedy(str(_suggested_range(low_value, high_value)))}"
        )

    def _remedy(self, values: str) -> str:
        remedy = f"unless that is meant, say which values are black and white, --value-range {values}"
        if self._percentiles:
            remedy += ", or by percentiles of the training images, --value-range 0.5%:99.5%"
        return remedy


def uses_little(pixels: Tensor) -> bool:
    """Whether the gray levels of one image (uint8) or of several are few.

    >>> import torch
    >>> uses_little(torch.arange(16, dtype=torch.uint8)), uses_little(torch.arange(200, dtype=torch.uint8))
    (True, False)
    """
    watch = RangeWatch()
    watch.add(pixels)
    return watch.small


def _suggested_range(low: float, high: float) -> ValueRange:
    """A range to try: of a camera that counts from 0 to a power of two, else what was found.

    >>> str(_suggested_range(100, 3300)), str(_suggested_range(40000, 42000))
    ('0:4095', '40000:42000')
    """
    if 0 <= low < high / 4 and high == int(high):
        return ValueRange(0, 2 ** int(high).bit_length() - 1)
    return ValueRange(low, max(high, low + 1))


def _ends(levels: NDArray[np.int64]) -> tuple[int, int]:
    """Lowest and highest level that are no outliers."""
    fractions = levels.cumsum() / max(1, levels.sum())
    return int(np.searchsorted(fractions, _OUTLIERS, side="right")), int(np.searchsorted(fractions, 1 - _OUTLIERS))

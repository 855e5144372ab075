"""Which pixel values are black and which are white, where the files do not say it: as values, or as percentiles.

A camera of twelve bits writes 0 to 4095 into files of sixteen; floating-point images have any range. With a range

    gray level = round(255 (v - low) / (high - low)),   0 below `low`, 255 above `high`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from improved_gan.data.dataset import DataError

__all__ = ["Bound", "ValueRange", "WantedRange", "parse_plain_range", "parse_value_range", "stored_range"]

_FORM = "give LOW:HIGH in the values of the files (0:4095), or percentiles of the training images (0.5%:99.5%)"


@dataclass(frozen=True)
class ValueRange:
    """Black and white in the values of the files.

    Raises:
        DataError: not finite, or `low` is not below `high`.

    >>> ValueRange(0, 4095).to_bytes(np.array([-7, 0, 2048, 4095, 9000])).tolist()
    [0, 0, 128, 255, 255]
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise DataError(f"a value range needs low < high, both finite; got {self.low:g}:{self.high:g}: {_FORM}")

    def to_bytes(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Gray levels (uint8) of values of any number type, none of them NaN."""
        levels = 255 * (values.astype(np.float64) - self.low) / (self.high - self.low)
        found: NDArray[np.uint8] = np.rint(levels.clip(0, 255)).astype(np.uint8)
        return found

    def __str__(self) -> str:
        return f"{_number(self.low)}:{_number(self.high)}"


@dataclass(frozen=True)
class Bound:
    """One end of a range: a value, or a percentile of the values that the training images have."""

    number: float
    percent: bool = False

    def __str__(self) -> str:
        return f"{_number(self.number)}{'%' if self.percent else ''}"


@dataclass(frozen=True)
class WantedRange:
    """A range as it was asked for.

    >>> str(parse_value_range("0.5%:99.5%")), parse_value_range("0.5%:99.5%").percentiles
    ('0.5%:99.5%', (0.5, 99.5))
    """

    low: Bound
    high: Bound

    @property
    def percentiles(self) -> tuple[float, ...]:
        """Those that have to be measured."""
        return tuple(one.number for one in (self.low, self.high) if one.percent)

    def resolved(self, measured: dict[float, float]) -> ValueRange:
        """The range in values.

        Args:
            measured: value by percentile.

        Raises:
            DataError: both ends are the same value.
        """
        low, high = (measured[one.number] if one.percent else one.number for one in (self.low, self.high))
        if self.percentiles and not low < high:
            raise DataError(
                f"--value-range {self} means the values {low:g} to {high:g} in these images, which leaves nothing "
                "between black and white: take percentiles that are further apart, or values (LOW:HIGH)"
            )
        return ValueRange(low, high)

    def __str__(self) -> str:
        return f"{self.low}:{self.high}"


def parse_value_range(text: str) -> WantedRange:
    """The range that `--value-range` gives.

    Args:
        text: LOW:HIGH; each a number, or a percentile with a percent sign.

    Raises:
        DataError: not of this form, percentiles outside 0..100, or low not below high.

    >>> parse_value_range("-100:4095").resolved({})
    ValueRange(low=-100.0, high=4095.0)
    """
    parts = text.split(":")
    if len(parts) != 2:
        raise DataError(f"--value-range {text!r} is not two numbers with a colon between them: {_FORM}")
    low, high = (_bound(part.strip(), text) for part in parts)
    if low.percent == high.percent and not low.number < high.number:
        raise DataError(f"--value-range {text!r}: the first is not below the second: {_FORM}")
    return WantedRange(low, high)


def parse_plain_range(text: str) -> ValueRange:
    """The same where there are no training images to take percentiles of.

    Raises:
        DataError: as `parse_value_range`, or percentiles.

    >>> parse_plain_range("0:4095")
    ValueRange(low=0.0, high=4095.0)
    """
    wanted = parse_value_range(text)
    if wanted.percentiles:
        raise DataError(
            f"--value-range {wanted}: percentiles are those of training images, so only `train-folder` takes them: "
            "give LOW:HIGH in the values of the files"
        )
    return wanted.resolved({})


def stored_range(stored: object) -> ValueRange | None:
    """The range that a run's recipe.json holds as [low, high]; None where it holds none.

    Raises:
        DataError: something else stands there.

    >>> stored_range([0, 4095]), stored_range(None)
    (ValueRange(low=0.0, high=4095.0), None)
    """
    if stored is None:
        return None
    try:
        if not isinstance(stored, list | tuple) or len(stored) != 2:
            raise ValueError("not two numbers")
        return ValueRange(float(stored[0]), float(stored[1]))
    except (TypeError, ValueError) as error:
        raise DataError(f"the run's value range {stored!r} is not [low, high], low < high: train it again") from error


def _bound(part: str, text: str) -> Bound:
    try:
        number = float(part.removesuffix("%"))
    except ValueError as error:
        raise DataError(f"--value-range {text!r}: {part!r} is no number: {_FORM}") from error
    percent = part.endswith("%")
    if not math.isfinite(number) or (percent and not 0 <= number <= 100):
        raise DataError(
            f"--value-range {text!r}: {part!r} is outside {'0..100%' if percent else 'all values'}: {_FORM}"
        )
    return Bound(number, percent)


def _number(value: float) -> str:
    """Without loss and without a needless `.0`.

    >>> _number(4095.0), _number(0.1), _number(-1e30)
    ('4095', '0.1', '-1e+30')
    """
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)

"""Convert stored values (8 to 32 bits, signed, floating point) to gray levels of 8 bits.

Of 8, 12 and 16 bits without a sign, black and white are known: 0 and the largest number. Of other kinds they are not,
so such an image needs a `ValueRange`, as values or as percentiles. Pillow reads color with more than 8 bits a channel
only by its upper 8 bits. A camera of twelve bits writes 0 to 4095 into files of sixteen; floating-point images have any
range. With a range

    gray level = round(255 (v - low) / (high - low)),   0 below `low`, 255 above `high`.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile

from improved_gan.data.dataset import DataError

__all__ = [
    "Bound",
    "Stored",
    "ValueRange",
    "WantedRange",
    "file_values",
    "is_deep",
    "natural_range",
    "parse_plain_range",
    "parse_value_range",
    "stored_as",
    "stored_range",
    "to_eight_bits",
]


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
        raise DataError(f"--value-range {text!r}: the first must be below the second: {_FORM}")
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
        raise DataError(f"--value-range {text!r}: {part!r} is not a number: {_FORM}") from error
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


_BITS_PER_SAMPLE, _SAMPLE_FORMAT, _PHOTOMETRIC = 258, 339, 262  # TIFF's tags
_SIGNED, _WHITE_IS_ZERO = 2, 0
_REMEDY = "say which values are black and white: --value-range LOW:HIGH"


class Stored(NamedTuple):
    """How a file stores its numbers, which Pillow's mode does not say."""

    bits: int = 8  # of a channel
    signed: bool = False
    white_is_zero: bool = False  # and Pillow has not turned it round
    white: int | None = None  # of a PGM or PPM file, which Pillow stretches to 255 or 65535


def stored_as(image: Image.Image) -> Stored:
    """Of an image that was opened and not yet loaded: it is lost when the image is loaded."""
    if isinstance(image, TiffImageFile):
        tags = image.tag_v2
        bits, signed = _first(tags.get(_BITS_PER_SAMPLE, 1)), _first(tags.get(_SAMPLE_FORMAT, 1)) == _SIGNED
        unturned = _first(tags.get(_PHOTOMETRIC, 1)) == _WHITE_IS_ZERO and image.mode[0] in "IF"
        return Stored(bits, signed, unturned)
    rawmode = image.tile[0].args if isinstance(image, ImageFile.ImageFile) and image.tile else None
    if isinstance(image, PpmImageFile):
        white = rawmode[1] if isinstance(rawmode, tuple) and isinstance(rawmode[1], int) else None
        largest = white or (65535 if rawmode == "I;16B" else 255)
        return Stored(largest.bit_length(), white=largest if image.mode[0] != "F" else None)
    return Stored(16 if (isinstance(rawmode, str) and ";16" in rawmode) or image.mode.startswith("I;16") else 8)


def is_deep(image: Image.Image, stored: Stored) -> bool:
    """Whether it is grayscale with other numbers than 0 to 255, so that `file_values` has to be mapped to bytes."""
    return image.mode[0] in "IF" or (stored.signed and image.mode == "L")


def natural_range(image: Image.Image, stored: Stored) -> ValueRange | None:
    """Black and white of a grayscale image by its kind; None where the kind does not say it."""
    if stored.white is not None:
        return ValueRange(0, stored.white)
    if image.mode.startswith("I;16"):
        return ValueRange(0, 2 ** min(stored.bits, 16) - 1 if stored.bits > 8 else 65535)
    return None if is_deep(image, stored) else ValueRange(0, 255)


def file_values(image: Image.Image, stored: Stored, name: object) -> NDArray[np.generic]:
    """(H, W) or (H, W, C) the numbers as the file has them.

    Raises:
        DataError: NaN or infinite pixels, or color of which only the upper 8 bits were read.
    """
    if stored.bits > 8 and not is_deep(image, stored):
        raise DataError(
            f"{name} is in color with {stored.bits} bits a channel, of which only the upper 8 are read, so a value "
            "range cannot be applied: convert it to 8 bits in color, or to 16 bits grayscale"
        )
    values: NDArray[np.generic] = np.asarray(image)
    if stored.signed and image.mode == "L":
        return values.view(np.int8)
    if image.mode == "I" and stored.bits == 32 and not stored.signed:  # Pillow has only int32
        return values.view(np.uint32)
    if image.mode == "F" and (wrong := int((~np.isfinite(values)).sum())):
        raise DataError(f"{name} has {wrong} of {values.size} pixels that are NaN or infinite: repair or remove it")
    stretched = 65535 if image.mode[0] == "I" else 255
    if stored.white not in (None, stretched):
        assert stored.white is not None
        return np.rint(values.astype(np.float64) * (stored.white / stretched)).astype(np.uint16)
    return values


def to_eight_bits(image: Image.Image, stored: Stored, values: ValueRange | None, name: object) -> Image.Image:
    """An image in a mode of 8 bits, its values mapped by a range or, without one, by its file type.

    Args:
        image: loaded; grayscale, color, with transparency or a palette.
        stored: of the same file, before it was loaded.
        values: black and white; None for those of the kind.
        name: for errors.

    Raises:
        DataError: black and white are not known, NaN or infinite pixels, or an image that the range cannot be meant
            for: 8 bits where white is above 255, or color with 16 bits.
    """
    if is_deep(image, stored):
        numbers = file_values(image, stored, name)
        scale = values or natural_range(image, stored)
        if scale is None:
            kind = "floating point" if image.mode == "F" else "signed integers" if stored.signed else "32-bit integers"
            raise DataError(f"{name} holds {kind}, whose black and white are not known: {_REMEDY}")
        levels = scale.to_bytes(numbers)
        return Image.fromarray(255 - levels if stored.white_is_zero else levels)
    if values is None:
        return image
    file_values(image, stored, name)  # only 8 bits a channel hold what follows
    if values.high > 255:
        raise DataError(
            f"{name} has 8 bits, 0 to 255, and the value range is {values}: give the original files of more bits, or "
            "leave such images out"
        )
    return _mapped(image, values)


def _mapped(image: Image.Image, values: ValueRange) -> Image.Image:
    """8 bits by a table; transparency stays as it is."""
    table = values.to_bytes(np.arange(256)).tolist()
    if image.has_transparency_data:
        return image.convert("RGBA").point([*table * 3, *range(256)])
    gray = image.mode in ("1", "L")
    return image.convert("L" if gray else "RGB").point(table * (1 if gray else 3))


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)

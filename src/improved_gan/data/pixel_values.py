"""From what an image file stores (8 to 32 bits, signed, floating point) to gray levels of 8 bits.

Of 8, 12 and 16 bits without a sign, black and white are known: 0 and the largest number. Of other kinds they are not,
so such an image needs a `ValueRange`. Pillow reads color with more than 8 bits a channel only by its upper 8 bits.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile

from improved_gan.data.dataset import DataError
from improved_gan.data.value_range import ValueRange

__all__ = ["Stored", "file_values", "is_deep", "natural_range", "stored_as", "to_eight_bits"]

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
        raise DataError(f"{name} has {wrong} of {values.size} pixels that are NaN or infinite: mend or remove it")
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

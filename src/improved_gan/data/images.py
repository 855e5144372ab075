"""Image files of any kind, read one by one, so that a bad one does not stop the others."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from improved_gan.data.dataset import DataError
from improved_gan.data.image_endings import IMAGE_SUFFIXES
from improved_gan.data.opened_image import central_square, decoding, in_mode, load, opened, refuse_bombs
from improved_gan.data.pixel_values import file_values, is_deep, natural_range
from improved_gan.data.value_range import ValueRange

__all__ = [
    "IMAGE_SUFFIXES",
    "Converted",
    "FileValues",
    "Header",
    "center_crop_resize",
    "decode_image",
    "read_header",
    "read_image",
    "read_values",
]

_MODES = {1: ("L", ("L", "1")), 3: ("RGB", ("RGB",))}


def read_image(
    path: Path,
    shape: Sequence[int],
    *,
    resize: bool = False,
    invert: bool = False,
    content: bytes | None = None,
    values: ValueRange | None = None,
) -> Tensor:
    """One image of the shape that a network expects.

    Args:
        path: any format that Pillow reads.
        shape: (C, H, W), C 1 for grayscale or 3 for color.
        resize: turn by the camera's orientation, put on white where transparent, convert the mode and scale to H x W
            (antialiased); otherwise an image of another size or mode is an error.
        invert: swap dark and light at the end, for networks that were trained on white strokes on black.
        content: of the file, where it was read before (an archive's entry); `path` is then its name for errors.
        values: black and white in the values of the file; None where its kind says it. Only with `resize`.

    Returns:
        (C, H, W) uint8.

    Raises:
        DataError: unreadable, truncated or far too large, or of another size or mode.
    """
    channels, height, width = shape
    mode, accepted = _MODES[channels]
    with decoding(path):
        image, stored, _ = load(path if content is None else io.BytesIO(content))
        if resize:
            image = in_mode(image, stored, mode, path, values)[0].resize((width, height), Image.Resampling.BICUBIC)
        elif image.mode not in accepted or image.size != (width, height):
            raise DataError(
                f"{path} is {image.width}x{image.height} in mode {image.mode}, the run was trained on {width}x{height} "
                f"in mode {mode}: --resize converts and scales"
            )
        array = np.array(image.convert(mode), dtype=np.uint8)
    array = 255 - array if invert else array
    return torch.from_numpy(array.reshape(height, width, channels)).permute(2, 0, 1).contiguous()


class Converted(NamedTuple):
    """An image as uint8, and what was done to it."""

    pixels: Tensor  # (C, H, W) uint8
    conversions: tuple[str, ...]


def decode_image(
    content: bytes,
    name: object,
    *,
    channels: int = 3,
    size: tuple[int, int] | None = None,
    values: ValueRange | None = None,
) -> Converted:
    """An image file's content, converted by one rule whatever it is.

    Turned by the camera's orientation where it can be read; 12 and 16 bits scaled to 8, other numbers by a value range;
    put on white where transparent; palette, CMYK and grayscale to the wanted mode; the first frame of an animation.
    Refused are signed, 32-bit and floating-point images without a value range, as their black and white are not
    known, NaN and infinite pixels, and images of more than 89 million pixels.

    Args:
        content: of the file.
        name: for errors.
        channels: 3 for color, 1 for grayscale.
        size: (H, W) to scale to (bicubic, antialiased); None keeps the size.
        values: black and white in the values of the file; None where its kind says it.

    Raises:
        DataError: unreadable, truncated, refused, or far too large.
    """
    mode, _ = _MODES[channels]
    with decoding(name):
        image, stored, conversions = load(io.BytesIO(content))
        image, more = in_mode(image, stored, mode, name, values)
        if size is not None and image.size != (size[1], size[0]):
            image = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
            more.append(f"scaled to {size[1]} x {size[0]} (bicubic)")
    array = np.array(image, dtype=np.uint8).reshape(image.height, image.width, channels)
    return Converted(torch.from_numpy(array).permute(2, 0, 1).contiguous(), (*conversions, *more))


def center_crop_resize(
    content: bytes, name: object, *, channels: int, size: int, values: ValueRange | None = None
) -> Tensor:
    """An image file's content as a square: the largest central square of the image, scaled.

    Mode, orientation and transparency by the rule of `decode_image`; bicubic, antialiased, smaller or larger. Of a JPEG
    that is at least four times too large only what is needed is decoded (by halves, to twice the size at least).

    Args:
        content: of the file.
        name: for errors.
        channels: 3 for color, 1 for grayscale.
        size: pixels of a side.
        values: black and white in the values of the file; None where its kind says it.

    Returns:
        (C, size, size) uint8.

    Raises:
        DataError: as `decode_image`.
    """
    with decoding(name):
        image, stored, _ = load(io.BytesIO(content), at_least=2 * size)
        image, _ = in_mode(image, stored, _MODES[channels][0], name, values)
        image, side = central_square(image), min(image.size)
        if side != size:
            image = image.resize((size, size), Image.Resampling.BICUBIC)
    array = np.array(image, dtype=np.uint8).reshape(size, size, channels)
    return torch.from_numpy(array).permute(2, 0, 1)


class FileValues(NamedTuple):
    """The numbers in an image's largest central square, and what its kind says of black and white."""

    numbers: NDArray[np.generic]  # (H, H) or (H, H, C): uint8, int8, uint16, int32, uint32 or float32
    natural: ValueRange | None  # None where the kind does not say it
    bits: int  # of a channel
    colored: bool  # then, of more than 8 bits, the numbers are the upper 8 of each channel


def read_values(content: bytes, name: object) -> FileValues:
    """The values of an image as its file has them.

    Raises:
        DataError: as `decode_image`, but for kinds whose black and white are not known.
    """
    with decoding(name):
        image, stored, _ = load(io.BytesIO(content))
        square = central_square(image)
        natural, colored = natural_range(image, stored), not (is_deep(image, stored) or image.mode in ("1", "L"))
        plain = square.convert("RGB" if colored else "L") if not is_deep(image, stored) else square
        upper = stored._replace(bits=8) if colored else stored
        return FileValues(file_values(plain, upper, name), natural, stored.bits, colored)


class Header(NamedTuple):
    """What an image says about itself."""

    width: int
    height: int
    color: bool  # False: grayscale or black and white


def read_header(content: bytes, name: object) -> Header:
    """Size and kind of an image, without decoding it.

    Raises:
        DataError: no image, or far too large.
    """
    with decoding(name), opened(io.BytesIO(content)) as image:
        refuse_bombs(image)
        return Header(image.width, image.height, image.mode not in ("1", "L", "LA", "La") and image.mode[0] not in "IF")

"""Read image files of any format one by one, so that a damaged one does not stop the others.

Each is opened (damage, size) and normalized: orientation, depth, transparency, mode (`load`, `in_mode`).
"""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from improved_gan.data.dataset import DataError
from improved_gan.data.image_endings import IMAGE_SUFFIXES
from improved_gan.data.value_range import (
    Stored,
    ValueRange,
    file_values,
    is_deep,
    natural_range,
    stored_as,
    to_eight_bits,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "Converted",
    "FileValues",
    "Header",
    "center_crop_resize",
    "central_square",
    "decode_image",
    "decoding",
    "in_mode",
    "load",
    "opened",
    "read_header",
    "read_image",
    "read_values",
    "refuse_bombs",
]


_ORIENTATION = 0x0112  # EXIF
_UPRIGHT = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_OPENING = Lock()  # warnings.catch_warnings is for one thread at a time


def central_square(image: Image.Image) -> Image.Image:
    """The largest square in the middle."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image if image.size == (side, side) else image.crop((left, top, left + side, top + side))


@contextmanager
def decoding(name: object) -> Iterator[None]:
    """Damaged files make Pillow's readers raise anything: TypeError, IndexError, struct.error, SyntaxError ..."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{name} is refused: {error}") from error
    except Exception as error:
        reason = "no known image format" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(f"{name} cannot be read: {' '.join(reason.split()) or type(error).__name__}") from error


def load(file: Path | io.BytesIO, *, at_least: int | None = None) -> tuple[Image.Image, Stored, list[str]]:
    """The image, how its file stores numbers, and what was done; of a JPEG at least so many pixels a side."""
    with opened(file) as image:
        refuse_bombs(image)
        stored = stored_as(image)
        if at_least is not None:
            image.draft(None, (at_least, at_least))  # JPEG only
        animated = getattr(image, "n_frames", 1) > 1
        image.load()
        refuse_bombs(image)  # a damaged animation may have grown
        return image.copy(), stored, ["first frame of an animation"] if animated else []


def opened(file: Path | io.BytesIO) -> Image.Image:
    """Not decoded yet; from any thread."""
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file)


def refuse_bombs(image: Image.Image) -> None:
    """Raise Pillow's own error where an image has more pixels than its limit."""
    limit, pixels = Image.MAX_IMAGE_PIXELS, image.width * image.height
    if limit is not None and pixels > limit:
        raise Image.DecompressionBombError(f"Image size ({pixels} pixels) exceeds limit of {limit} pixels")


def _exif_transpose(image: Image.Image) -> Image.Transpose | None:
    """How to put it upright; None where it is, or where its EXIF data cannot be read."""
    try:
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:  # as in `decoding`; the pixels are whole
        return None


def in_mode(
    image: Image.Image, stored: Stored, mode: str, name: object, values: ValueRange | None
) -> tuple[Image.Image, list[str]]:
    """Upright, 8 bits, opaque, and in the mode; and what that took."""
    done = []
    turn = _exif_transpose(image)
    if turn is not None:
        image = image.transpose(turn)
        done.append("turned upright")
    if values is not None:
        done.append(f"values {values} to 0:255")
    elif stored.bits > 8:
        done.append(f"{stored.bits} bits scaled to 8")
    image = to_eight_bits(image, stored, values, name)  # Pillow's own conversion would clip at 255
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
        done.append("transparency put on white")
    if image.mode != mode:
        done.append(f"{image.mode} to {mode}")
    return image.convert(mode), done


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

"""An image file opened and normalized: damage, size, orientation, depth, transparency, mode."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from PIL import Image, UnidentifiedImageError

from improved_gan.data.dataset import DataError
from improved_gan.data.pixel_values import Stored, stored_as, to_eight_bits
from improved_gan.data.value_range import ValueRange

__all__ = ["central_square", "decoding", "in_mode", "load", "opened", "refuse_bombs"]

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

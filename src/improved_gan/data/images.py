"""Image files of any kind, read one by one, so that a bad one does not stop the others."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from improved_gan.data.dataset import DataError

__all__ = ["IMAGE_SUFFIXES", "find_images", "read_image"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
_MODES = {1: ("L", ("L", "1")), 3: ("RGB", ("RGB",))}


def find_images(paths: Iterable[Path]) -> Iterator[Path]:
    """The files given, and in place of a folder all image files below it, in order of name.

    Raises:
        DataError: a path does not exist, or a folder holds no image.
    """
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
            if not found:
                raise DataError(f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
            yield from found
        elif path.is_file():
            yield path
        else:
            raise DataError(f"there is no file or folder {path}")


def read_image(path: Path, shape: Sequence[int], *, fit: bool = False, invert: bool = False) -> Tensor:
    """One image of the shape that a network expects.

    Args:
        path: any format that Pillow reads.
        shape: (C, H, W), C 1 for greyscale or 3 for colour.
        fit: turn by the camera's orientation, put on white where transparent, convert the mode and scale to H x W
            (antialiased); otherwise a picture of another size or mode is an error.
        invert: swap dark and light at the end, for networks that were trained on white strokes on black.

    Returns:
        (C, H, W) uint8.

    Raises:
        DataError: unreadable, truncated or far too large, or of another size or mode.
    """
    channels, height, width = shape
    mode, accepted = _MODES[channels]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                opened.load()
                image: Image.Image = opened.copy()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is refused: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's readers raise for damaged files
        raise DataError(f"{path} cannot be read: {error}") from error
    if fit and image.mode in ("I", "F"):
        raise DataError(
            f"{path} has mode {image.mode}, whose black and white are not known: convert it to 8 or 16 bits"
        )
    if fit:
        image = _fitted(image, mode, (width, height))
    elif image.mode not in accepted or image.size != (width, height):
        raise DataError(
            f"{path} is {image.width}x{image.height} in mode {image.mode}, the run was trained on {width}x{height} in "
            f"mode {mode}: --fit converts and scales"
        )
    array = np.array(image.convert(mode), dtype=np.uint8)
    array = 255 - array if invert else array
    return torch.from_numpy(array.reshape(height, width, channels)).permute(2, 0, 1).contiguous()


def _fitted(image: Image.Image, mode: str, size: tuple[int, int]) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # Pillow's own conversion would clip at 255
        image = Image.fromarray((np.asarray(image, dtype=np.uint32) // 257).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert(mode).resize(size, Image.Resampling.BICUBIC)

"""Images for pages and galleries: as data URIs, as tiles cut from a run's sample grids, as files of limited size."""

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from improved_gan.training.sampling import to_uint8

__all__ = ["as_array", "as_png", "cut_grid", "data_uri", "evenly", "read_grid", "shrunk", "within"]

_SMALL = 1 << 16  # values
_LARGE_PNG = 20_000  # bytes; a larger color image is encoded as JPEG if that is smaller
_JPEG_QUALITY = 88
_GRID_COLUMNS, _GRID_GAP = 10, 2  # of the training loop's grids


def data_uri(image: Tensor) -> str:
    """(C, H, W) uint8 as a data URI.

    >>> data_uri(torch.zeros(1, 2, 2, dtype=torch.uint8))[:22]
    'data:image/png;base64,'
    """
    kind, content = "png", as_png(image)
    if image.shape[0] == 3 and len(content) > _LARGE_PNG:
        buffer = io.BytesIO()
        Image.fromarray(as_array(image)).save(buffer, format="JPEG", quality=_JPEG_QUALITY, optimize=True)
        if len(buffer.getvalue()) < len(content):
            kind, content = "jpeg", buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def as_array(image: Tensor) -> np.ndarray:
    """(C, H, W) uint8 as Pillow takes it: (H, W) or (H, W, 3)."""
    array = image[0].numpy() if image.shape[0] == 1 else image.permute(1, 2, 0).numpy()
    return np.ascontiguousarray(array)


def as_png(image: Tensor) -> bytes:
    """(C, H, W) uint8 as a PNG file's content."""
    buffer = io.BytesIO()
    small = image.numel() <= _SMALL  # the last percent takes long for large images
    Image.fromarray(as_array(image)).save(buffer, format="PNG", optimize=small)
    return buffer.getvalue()


def shrunk(images: Tensor, edge: int = 128) -> Tensor:
    """Images (N, C, H, W) uint8, averaged down by a whole factor until neither side is longer than `edge`.

    >>> shrunk(torch.zeros(1, 3, 300, 200, dtype=torch.uint8)).shape
    torch.Size([1, 3, 100, 66])
    """
    factor = -(-max(images.shape[2:]) // edge)
    return images if factor == 1 else to_uint8(F.avg_pool2d(images.float() / 255, factor))


def read_grid(path: Path, image_shape: Sequence[int]) -> Tensor | None:
    """The images (N, C, H, W) uint8 of a grid that training wrote; None where the file is damaged.

    A file with another layout than the training loop's is one image.
    """
    try:
        with Image.open(path) as opened:
            array = np.array(opened.convert("L" if image_shape[0] == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError, EOFError):  # what Pillow makes of damaged files
        return None
    image = torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)
    tiles = cut_grid(image, image_shape)
    return image[None] if tiles is None else tiles


def cut_grid(image: Tensor, image_shape: Sequence[int], *, columns: int = _GRID_COLUMNS) -> Tensor | None:
    """The inverse of `training.sampling.grid` with its default sizes: (C, H', W') -> (N, C, H, W).

    N counts all cells of the grid, also empty ones in the last row.

    Returns:
        None if the image is no such grid.

    >>> from improved_gan.training.sampling import grid
    >>> images = torch.arange(256, dtype=torch.uint8).view(4, 1, 8, 8)
    >>> bool((cut_grid(grid(images), (1, 8, 8), columns=2) == images).all())
    True
    """
    channels, height, width = image_shape
    size = max(1, round(64 / width))
    row, column = height * size + _GRID_GAP, width * size + _GRID_GAP
    rows, rest = divmod(image.shape[1] + _GRID_GAP, row)
    if rest or rows == 0 or image.shape[2] + _GRID_GAP != columns * column or image.shape[0] != channels:
        return None
    tiles = [
        image[:, top : top + height * size : size, left : left + width * size : size]
        for top in range(0, rows * row, row)
        for left in range(0, columns * column, column)
    ]
    return torch.stack(tiles)


def evenly(items: Iterable[int], num: int) -> list[int]:
    """At most `num` of the items, evenly spaced, with the first and the last (if `num` is 1: the last).

    >>> evenly(range(10), 4)
    [0, 3, 6, 9]
    """
    items = list(items)
    if len(items) <= num:
        return items
    if num == 1:
        return items[-1:]
    return [items[round(i * (len(items) - 1) / (num - 1))] for i in range(num)]


def within(limit: int, sizes: Iterable[int], make: Callable[[int], bytes]) -> bytes:
    """`make(size)` for the first of `sizes` with at most `limit` bytes, else for the last of them.

    >>> within(3, [5, 4, 3, 2], bytes)
    b'\\x00\\x00\\x00'
    """
    content = b""
    for size in sizes:
        content = make(size)
        if len(content) <= limit:
            break
    return content

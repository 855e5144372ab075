"""Images of a scan decoded by several threads, in order; one that cannot be decoded is reported, others go on."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import compress, islice

import numpy as np
from torch import Tensor

from improved_gan.data.dataset import DataError
from improved_gan.data.image_index import ImageIndex
from improved_gan.data.images import center_crop_resize
from improved_gan.data.ordered_map import chunked, ordered_map
from improved_gan.data.value_range import ValueRange

__all__ = ["decode_rows"]

_CHUNK = 32

Read = Callable[[], bytes]


def decode_rows(
    scan: ImageIndex, shape: Sequence[int], *, workers: int, first: int = 0, values: ValueRange | None = None
) -> Iterator[Tensor | str]:
    """Each image of a scan as a square (see `images.center_crop_resize`), or the reason why it cannot be used.

    Args:
        scan: which images.
        shape: (C, S, S).
        workers: threads that decode.
        first: the row of the scan to begin with.
        values: black and white in the values of the files; None where the file type defines them.

    Raises:
        DataError: a file has changed since the scan, or an archive is damaged as a whole.
    """
    channels, size, _ = shape

    def decode(chunk: list[tuple[int, tuple[str, Read]]]) -> list[Tensor | str]:
        return [_decode(*one, scan.hashes[row].tobytes(), channels, size, values) for row, one in chunk]

    wanted = np.zeros(len(scan.source), dtype=np.bool_)
    wanted[scan.rows] = True
    remaining = islice(enumerate(compress(scan.source.stream(), wanted)), first, None)
    for found in ordered_map(decode, chunked(remaining, _CHUNK), workers=workers):
        yield from found


def _decode(name: str, read: Read, digest: bytes, channels: int, size: int, values: ValueRange | None) -> Tensor | str:
    try:
        content = read()
    except (DataError, OSError) as error:  # it could be read a moment ago
        raise DataError(f"{name} can no longer be read ({error}): run the same command again") from error
    if hashlib.sha256(content).digest() != digest:
        raise DataError(f"{name} has changed while the images were read: run the same command again")
    try:
        return center_crop_resize(content, "it", channels=channels, size=size, values=values)
    except DataError as error:
        return str(error).removeprefix("it ")

"""An index of a set of images, made before decoding: hash, size and mode of each, and the unreadable ones."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from improved_gan.console import progress_bar
from improved_gan.data.dataset import DataError
from improved_gan.data.image_pages import further_pages, pages_notice
from improved_gan.data.image_sources import ImageSource
from improved_gan.data.images import Header, read_header
from improved_gan.data.ordered_map import chunked, ordered_map

__all__ = ["ImageIndex", "index_images"]

_CHUNK = 64

_Found = tuple[bytes, Header, int]


@dataclass(frozen=True)
class ImageIndex:
    """Name, size and hash of each image of a source, without decoding.

    Attributes:
        source: the folder or archive.
        rows: (N,) positions in the source of the images whose header can be read.
        hashes: (N, 32) uint8, the SHA-256 of each of these files.
        sizes: (N, 2) width and height.
        color: (N,) whether each has color.
        bad: what is wrong with each of the others, by name.
        further: pages or frames beyond the first of each file that has some, by name.
    """

    source: ImageSource
    rows: NDArray[np.int64]
    hashes: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    color: NDArray[np.bool_]
    bad: dict[str, str] = field(default_factory=dict)
    further: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the images whose header can be read."""
        if len(self.rows) == len(self.source):
            return self.source.names
        return tuple(self.source.names[row] for row in self.rows)

    @property
    def shorter_sides(self) -> NDArray[np.int64]:
        """(N,) pixels."""
        shorter: NDArray[np.int64] = self.sizes.min(1, initial=2**31)
        return shorter

    @property
    def notices(self) -> tuple[str, ...]:
        """What was not read: files beside the images, and further pages."""
        return (*self.source.notices, *pages_notice(self.further))

    def digest(self) -> str:
        """SHA-256 over the content of all images in their order."""
        return hashlib.sha256(self.hashes.tobytes()).hexdigest()


def index_images(source: ImageSource, *, workers: int) -> ImageIndex:
    """Read every file once.

    Args:
        source: the images.
        workers: threads that read.

    Raises:
        DataError: an archive that is damaged as a whole.
    """
    rows, hashes, headers, bad, further = [], [], [], {}, {}
    with progress_bar("looking at", total=len(source)) as advance:
        position = 0
        for chunk in ordered_map(_look, chunked(source.stream(), _CHUNK), workers=workers):
            for name, found in chunk:
                if isinstance(found, str):
                    bad[name] = found
                else:
                    rows.append(position)
                    hashes.append(found[0])
                    headers.append(found[1])
                    if found[2]:
                        further[name] = found[2]
                position += 1
            advance(len(chunk))
    return ImageIndex(
        source=source,
        rows=np.asarray(rows, dtype=np.int64),
        hashes=np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32),
        sizes=np.asarray([(one.width, one.height) for one in headers], dtype=np.int64).reshape(-1, 2),
        color=np.asarray([one.color for one in headers], dtype=np.bool_),
        bad=bad,
        further=further,
    )


def _look(chunk: list[tuple[str, Callable[[], bytes]]]) -> list[tuple[str, _Found | str]]:
    """Hash, header and further pages of each image, or what is wrong with it."""
    return [(name, _look_at(read)) for name, read in chunk]


def _look_at(read: Callable[[], bytes]) -> _Found | str:
    try:
        content = read()
        return hashlib.sha256(content).digest(), read_header(content, "it"), further_pages(content)
    except (DataError, OSError) as error:
        return _reason(error)


def _reason(error: DataError | OSError) -> str:
    return str(getattr(error, "strerror", None) or error).removeprefix("it ")

"""Images of files, folders and archives, one after another, decoded by several threads; none is kept."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from improved_gan.data.dataset import DataError
from improved_gan.data.image_sources import ImageSource, Read, is_archive, open_images

__all__ = ["ImageList", "default_workers", "in_order"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_TOGETHER = 8  # images that a thread takes at a time: waiting ones are in memory


class ImageList:
    """All images that paths name, in a fixed order, under one name each.

    An image of a folder or archive is called `FOLDER/NAME`, a single file as it was given.

    Args:
        paths: image files, folders, archives.

    Raises:
        DataError: a path that does not exist, or holds no image.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.parts = [_part(path) for path in paths]

    def __len__(self) -> int:
        return sum(len(source) for _, source in self.parts)

    def files(self) -> Iterator[str]:
        """The name of each image."""
        for prefix, source in self.parts:
            for name in source.names:
                yield prefix + name

    def stream(self) -> Iterator[tuple[str, Read]]:
        """Name, and a function that reads the bytes, of each image."""
        for prefix, source in self.parts:
            for name, read in source.stream():
                yield prefix + name, read

    def within(self, file: str) -> str:
        """The name inside the folder or archive, where only one was given: what a labels file there would say."""
        prefix = self.parts[0][0]
        return file.removeprefix(prefix) if len(self.parts) == 1 else file


def _part(path: Path) -> tuple[str, ImageSource]:
    if path.is_file() and not is_archive(path.name):
        source = ImageSource(path, (path.name,), lambda: iter([(path.name, path.read_bytes)]))
        return _prefix(path.parent), source
    if not path.exists():
        raise DataError(f"there is no file or folder {path}")
    return _prefix(path), open_images(path)


def _prefix(folder: Path) -> str:
    return "" if str(folder) == "." else "/" if str(folder) == "/" else f"{folder}/"


def default_workers() -> int:
    """Threads that decode: decoding is a small part of the work, and more than four wait for the disk."""
    return min(4, os.cpu_count() or 1)


def in_order(items: Iterable[_Item], work: Callable[[list[_Item]], _Result], *, workers: int) -> Iterator[_Result]:
    """`work` on eight items at a time in threads, a little ahead; the results in the order of the items.

    >>> list(in_order(range(10), sum, workers=2))
    [28, 17]
    """
    stream, waiting = iter(items), deque[Future[_Result]]()
    with ThreadPoolExecutor(workers) as pool:
        try:
            while some := list(islice(stream, _TOGETHER)):
                waiting.append(pool.submit(work, some))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

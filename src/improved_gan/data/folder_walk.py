"""Every file below a folder, each real folder once; what cannot be opened is an error, never passed over."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from improved_gan.data.dataset import DataError
from improved_gan.data.file_names import plain_name
from improved_gan.data.left_out import LeftOut, is_leftover

__all__ = ["walk"]

_Found = TypeVar("_Found")


def walk(folder: Path, left_out: LeftOut) -> Iterator[Path]:
    """The files, and links that lead nowhere; links to folders are followed.

    Args:
        folder: to begin with.
        left_out: records folders that are hidden, left by programs or reached twice, and of pipes and the like.

    Raises:
        DataError: a folder below that cannot be opened.
    """
    seen, waiting = set[tuple[int, int]](), [""]  # `os.walk` calls itself for each level, and stops at a thousand
    while waiting:
        name = waiting.pop()
        here = folder / name
        status = _opened(here.stat, here)
        if (status.st_dev, status.st_ino) in seen:
            left_out.note_twice(plain_name(name))
            continue
        seen.add((status.st_dev, status.st_ino))
        below = []
        for entry in _opened(lambda here=here: list(os.scandir(here)), here):  # type: ignore[misc]
            inside = f"{name}/{entry.name}" if name else entry.name
            if _is_folder(entry):
                left_out.note_folder(plain_name(inside))
                below += [] if is_leftover(entry.name) else [inside]
            elif _is_file(entry):
                yield folder / inside
            else:
                left_out.note_no_file()
        waiting += sorted(below, reverse=True)


def _opened(look: Callable[[], _Found], folder: Path) -> _Found:
    try:
        return look()
    except OSError as error:
        shown = str(folder) if len(str(folder)) < 200 else f"{str(folder)[:200]} ..."
        raise DataError(
            f"the folder {shown} cannot be opened ({error.strerror}): give the right to read it, or move it away"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """A file, or a link that leads nowhere: pipes and devices would wait for ever."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True  # the error comes when it is read

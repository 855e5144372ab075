"""Every file below a folder, each real folder once; what cannot be opened is an error, never passed over."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from improved_gan.data.dataset import DataError
from improved_gan.data.file_names import plain_name
from improved_gan.data.left_out import LeftOut, is_leftover

__all__ = ["walk"]


def walk(folder: Path, left_out: LeftOut) -> Iterator[Path]:
    """The files, and links that lead nowhere; links to folders are followed.

    Args:
        folder: to begin with.
        left_out: is told of folders that are hidden, left by programs or reached twice, and of pipes and the like.

    Raises:
        DataError: a folder below that cannot be opened.
    """
    seen = set()
    for here, below, files in os.walk(folder, followlinks=True, onerror=_refuse):
        status = Path(here).stat()
        name = _within(folder, Path(here))
        if (status.st_dev, status.st_ino) in seen:
            below.clear()
            left_out.note_twice(name)
            continue
        seen.add((status.st_dev, status.st_ino))
        for one in below:
            left_out.note_folder(f"{name}/{one}" if name else one)
        below[:] = sorted(one for one in below if not is_leftover(one))
        for file in files:
            whole = Path(here) / file
            if _is_file(whole):
                yield whole
            else:
                left_out.note_no_file()


def _within(folder: Path, below: Path) -> str:
    return "" if below == folder else plain_name(str(below.relative_to(folder)))


def _is_file(path: Path) -> bool:
    """A file, or a link that leads nowhere: pipes and devices would wait for ever."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True  # reading it says what is wrong


def _refuse(error: OSError) -> None:
    name = str(error.filename)
    shown = name if len(name) < 200 else f"{name[:200]} ..."
    raise DataError(
        f"the folder {shown} cannot be opened ({error.strerror}): give the right to read it, or move it away"
    ) from error

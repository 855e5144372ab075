"""Sources of images: a folder, a zip or tar archive (including WebDataset shards), or a folder of archives.

Images come one after another in order of name, so that archives are read without unpacking and nothing is kept.
A folder and an archive of it give the same images in the same order, whatever the order inside the archive.
Each real folder is walked once; what cannot be opened is an error, never passed over.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from improved_gan.data.archives import TarIndex, open_zip
from improved_gan.data.dataset import DataError
from improved_gan.data.file_names import plain_name
from improved_gan.data.image_endings import IMAGE_SUFFIXES, holds_an_image
from improved_gan.data.left_out import LeftOut, is_leftover, is_sample_overview

__all__ = ["MAX_BYTES", "ImageSource", "Read", "is_archive", "open_files", "open_images", "walk"]


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


MAX_BYTES = 2**28  # of one image file: 89 million pixels in color, uncompressed

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")

Read = Callable[[], bytes]
Wanted = Callable[[str, Read], bool]  # of a plain name, and what reads its first bytes
Contents = Callable[[], Iterator[tuple[str, bytes | Exception]]]


@dataclass(frozen=True)
class ImageSource:
    """Images by name, in a fixed order.

    Attributes:
        path: what the user named.
        names: of the images, relative to the folder or archive, with slashes.
        stream: gives (name, a function that reads the bytes) for each image in the order of `names`. The functions of
            one stream may be called from several threads, before the stream has moved on by more than a few hundred.
        notices: what was left out, and which folders hold no image: for every command to tell.
    """

    path: Path
    names: tuple[str, ...]
    stream: Callable[[], Iterator[tuple[str, Read]]]
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


def open_images(path: Path) -> ImageSource:
    """All images of a folder and those below it, or of an archive, or of all archives of a folder without images.

    Links are followed; a folder that is reached twice, as in a loop of links, is read once. Hidden folders, those
    that programs leave behind, and in a folder the grid that `sample` writes beside its images are left out. A link
    that leads nowhere is an image that cannot be read. Files without an ending are read if their first bytes are those
    of an image.

    Raises:
        DataError: there is no such path, it holds no image, or a folder or the archive cannot be read.
    """
    source = _open(path, is_image)
    if not len(source):
        others = "".join(f"; {line}" for line in source.notices)
        raise DataError(f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}){others}")
    return source


def open_files(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Read]]:
    """Files of other kinds that lie among the images, by name, as `ImageSource.stream` gives images.

    Args:
        path: as for `open_images`.
        wanted: tells from its name whether a file is meant.

    Raises:
        DataError: as `open_images`, but for files that are not there.
    """
    return _open(path, lambda name, _: wanted(name) and not is_leftover(name)).stream()


def _open(path: Path, wanted: Wanted) -> ImageSource:
    left_out = LeftOut()
    if path.is_file() and is_archive(path.name):
        return _open_archive(path, wanted, left_out)
    if not path.is_dir():
        kinds = ", ".join(_ARCHIVES)
        is_what = f"{path} is neither a folder nor an archive" if path.exists() else f"there is no {path}"
        raise DataError(f"{is_what}: give a folder of images or an archive of them ({kinds})")
    return _open_folder(path, wanted, left_out)


def _open_folder(path: Path, wanted: Wanted, left_out: LeftOut) -> ImageSource:
    files = sorted((plain_name(str(file.relative_to(path))), file) for file in walk(path, left_out))
    archives = [(name, file) for name, file in files if is_archive(name) and not is_leftover(name)]
    if not archives or any(is_image(name, partial(_beginning, file)) for name, file in files):
        chosen = [(name, file) for name, file in files if _is_chosen(name, file, wanted, left_out)]
        names = tuple(name for name, _ in chosen)
        return ImageSource(
            path, names, lambda: ((name, partial(_read, file)) for name, file in chosen), left_out.lines()
        )
    for name, file in files:
        if is_archive(name):
            left_out.note_used(name)
        else:
            _is_chosen(name, file, lambda *_: False, left_out)
    return _joined(path, [(name, _open_archive(file, wanted, left_out)) for name, file in archives], left_out)


def _is_chosen(name: str, file: Path, wanted: Wanted, left_out: LeftOut) -> bool:
    """Whether a file is wanted; it is counted where it is not."""
    chosen = wanted(name, partial(_beginning, file))
    if chosen and is_sample_overview(file):
        left_out.note_sample_overview()
        return False
    if not chosen and file.is_symlink() and not file.exists():
        left_out.note_dead_link()
    else:
        left_out.note(name, is_image=chosen, is_image_name=_ending(name) in IMAGE_SUFFIXES)
    return chosen


def _joined(path: Path, parts: list[tuple[str, ImageSource]], left_out: LeftOut) -> ImageSource:
    """The archives of a folder, one after another."""

    def stream() -> Iterator[tuple[str, Read]]:
        for archive, part in parts:
            for name, read in part.stream():
                yield f"{archive}/{name}", read

    names = tuple(f"{archive}/{name}" for archive, part in parts for name in part.names)
    return ImageSource(path, names, stream, left_out.lines())


def is_archive(name: str) -> bool:
    """Whether a file of that name is taken for an archive."""
    return name.lower().endswith(_ARCHIVES)


def is_image(name: str, beginning: Callable[[], bytes]) -> bool:
    """Whether a file is to be read as an image: by its ending, without one by its first bytes; never one left over.

    Args:
        name: plain.
        beginning: reads the first 32 bytes.
    """
    ending = _ending(name)
    if is_leftover(name) or (ending and ending not in IMAGE_SUFFIXES):
        return False
    return bool(ending) or holds_an_image(beginning())


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _beginning(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(32)
    except OSError:  # it cannot be told what it is
        return b""


def _read(file: Path) -> bytes:
    if file.is_symlink() and not file.exists():
        raise DataError(f"it is a link that leads nowhere ({file.readlink()})")
    _check_size(file.stat().st_size)
    return file.read_bytes()


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise DataError(f"it has {size:,} bytes, at most {MAX_BYTES:,} are read")


def _open_archive(path: Path, wanted: Wanted, left_out: LeftOut) -> ImageSource:
    with _reading(path):
        is_zip = path.name.lower().endswith(".zip")
        names, contents = open_zip(path, wanted, left_out, _check_size) if is_zip else _open_tar(path, wanted, left_out)

    def stream() -> Iterator[tuple[str, Read]]:
        with _reading(path):
            for name, content in contents():
                yield name, lambda content=content: _given(content)  # type: ignore[misc]

    return ImageSource(path, names, stream, left_out.lines())


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Damaged archives raise errors of a dozen kinds, from the archive's reader and from the decompressor's."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        lines = str(error).splitlines() or [type(error).__name__]  # tarfile tries all compressions, a line for each
        reason = lines[0] if len(lines) == 1 else "not in a known format, or damaged at its beginning"
        raise DataError(f"{path} cannot be read as an archive ({reason}): copy or download it again") from error


def _open_tar(path: Path, wanted: Wanted, left_out: LeftOut) -> tuple[tuple[str, ...], Contents]:
    index = TarIndex.of(path, wanted, left_out)
    return tuple(index.names), lambda: index.stream(_check_size)


def _given(content: bytes | Exception) -> bytes:
    if isinstance(content, Exception):
        raise DataError(" ".join(str(content).split()) or type(content).__name__) from content
    return content

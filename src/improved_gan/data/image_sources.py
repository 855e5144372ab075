"""Where many images lie: a folder, a zip or tar archive (WebDataset shards too), or a folder of archives.

Images come one after another in order of name, so that archives are read without unpacking and nothing is kept.
A folder and an archive of it give the same images in the same order, whatever the order inside the archive.
"""

import errno
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from improved_gan.data.dataset import DataError
from improved_gan.data.images import IMAGE_SUFFIXES
from improved_gan.data.tar_archives import TarIndex

__all__ = ["MAX_BYTES", "ImageSource", "Read", "is_archive", "open_files", "open_images"]

MAX_BYTES = 2**28  # of one image file: 89 million pixels in colour, uncompressed

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")

Read = Callable[[], bytes]
Wanted = Callable[[str], bool]  # of a name
Contents = Callable[[], Iterator[tuple[str, bytes | Exception]]]


@dataclass(frozen=True)
class ImageSource:
    """Images by name, in a fixed order.

    Attributes:
        path: what the user named.
        names: of the images, as they lie in the folder or archive.
        stream: gives (name, a function that reads the bytes) for each image in the order of `names`. The functions of
            one stream may be called from several threads, before the stream has moved on by more than a few hundred.
    """

    path: Path
    names: tuple[str, ...]
    stream: Callable[[], Iterator[tuple[str, Read]]]

    def __len__(self) -> int:
        return len(self.names)


def open_images(path: Path) -> ImageSource:
    """All images of a folder and those below it, or of an archive, or of all archives of a folder without images.

    Links are followed; a folder that is reached twice, as in a loop of links, is read once.

    Raises:
        DataError: there is no such path, it holds no image, or the archive cannot be read.
    """
    source = _open(path, _is_image)
    if not len(source):
        raise DataError(f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return source


def open_files(path: Path, wanted: Wanted) -> Iterator[tuple[str, Read]]:
    """Files of other kinds that lie among the images, by name, as `ImageSource.stream` gives images.

    Args:
        path: as for `open_images`.
        wanted: tells from its name whether a file is meant.

    Raises:
        DataError: as `open_images`, but for files that are not there.
    """
    return _open(path, wanted).stream()


def _open(path: Path, wanted: Wanted) -> ImageSource:
    if path.is_file() and is_archive(path.name):
        return _open_archive(path, wanted)
    if not path.is_dir():
        kinds = ", ".join(_ARCHIVES)
        is_what = f"{path} is neither a folder nor an archive" if path.exists() else f"there is no {path}"
        raise DataError(f"{is_what}: give a folder of images or an archive of them ({kinds})")
    files = sorted(_walk(path))
    names = tuple(name for name in files if wanted(name))
    archives = [name for name in files if is_archive(name)]
    if not archives or any(_is_image(name) for name in files):
        return ImageSource(path, names, lambda: ((name, lambda name=name: _read(path / name)) for name in names))  # type: ignore[misc]
    parts = [_open_archive(path / name, wanted) for name in archives]
    joined = tuple(f"{archive}/{name}" for archive, part in zip(archives, parts, strict=True) for name in part.names)

    def stream() -> Iterator[tuple[str, Read]]:
        for archive, part in zip(archives, parts, strict=True):
            for name, read in part.stream():
                yield f"{archive}/{name}", read

    return ImageSource(path, joined, stream)


def is_archive(name: str) -> bool:
    """Whether a file of that name is taken for an archive."""
    return name.lower().endswith(_ARCHIVES)


def _is_image(name: str) -> bool:
    file = Path(name)
    return file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith("._")  # left by macOS's archiver


def _walk(folder: Path) -> Iterator[str]:
    """Every file below the folder, relative to it; each real folder once."""
    seen = set()
    for here, below, files in os.walk(folder, followlinks=True):
        status = Path(here).stat()
        if (status.st_dev, status.st_ino) in seen:
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        below.sort()
        for file in files:
            whole = Path(here) / file
            if whole.is_file():
                yield str(whole.relative_to(folder))


def _read(file: Path) -> bytes:
    _check_size(file.stat().st_size)
    return file.read_bytes()


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise DataError(f"it has {size:,} bytes, at most {MAX_BYTES:,} are read")


def _open_archive(path: Path, wanted: Wanted) -> ImageSource:
    with _reading(path):
        names, contents = _open_zip(path, wanted) if path.name.lower().endswith(".zip") else _open_tar(path, wanted)

    def stream() -> Iterator[tuple[str, Read]]:
        with _reading(path):
            for name, content in contents():
                yield name, lambda content=content: _given(content)  # type: ignore[misc]

    return ImageSource(path, names, stream)


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
        reason = lines[0] if len(lines) == 1 else "none of the known formats, or damaged at its start"
        raise DataError(f"{path} cannot be read as an archive ({reason}): copy or download it again") from error


def _open_zip(path: Path, wanted: Wanted) -> tuple[tuple[str, ...], Contents]:
    def contents() -> Iterator[tuple[str, bytes | Exception]]:
        with zipfile.ZipFile(path) as archive:
            for one in _entries(archive, wanted):
                yield one.filename, _whole(archive, one)

    with zipfile.ZipFile(path) as archive:
        return tuple(one.filename for one in _entries(archive, wanted)), contents


def _entries(archive: zipfile.ZipFile, wanted: Wanted) -> list[zipfile.ZipInfo]:
    images = (one for one in archive.infolist() if not one.is_dir() and wanted(one.filename))
    return sorted(images, key=lambda one: one.filename)


def _whole(archive: zipfile.ZipFile, one: zipfile.ZipInfo) -> bytes | Exception:
    """The bytes, or what is wrong with this one image: the others may be whole."""
    try:
        _check_size(one.file_size)
        return archive.read(one)
    except MemoryError:
        raise
    except Exception as error:  # as in `_reading`; RuntimeError: a password is needed
        return error


def _open_tar(path: Path, wanted: Wanted) -> tuple[tuple[str, ...], Contents]:
    index = TarIndex.of(path, wanted)
    return tuple(index.names), lambda: index.stream(_check_size)


def _given(content: bytes | Exception) -> bytes:
    if isinstance(content, Exception):
        raise DataError(" ".join(str(content).split()) or type(content).__name__) from content
    return content

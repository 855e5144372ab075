"""Where many images lie: a folder, a zip or tar archive (WebDataset shards too), or a folder of archives.

Images come one after another in order of name, so that archives are read without unpacking and nothing is kept.
"""

import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from improved_gan.data.dataset import DataError
from improved_gan.data.images import IMAGE_SUFFIXES

__all__ = ["ImageSource", "open_images"]

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")

Read = Callable[[], bytes]


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
    if path.is_file() and _is_archive(path.name):
        return _checked(_open_archive(path))
    if not path.is_dir():
        kinds = ", ".join(_ARCHIVES)
        is_what = f"{path} is neither a folder nor an archive" if path.exists() else f"there is no {path}"
        raise DataError(f"{is_what}: give a folder of images or an archive of them ({kinds})")
    files = sorted(_walk(path))
    names = tuple(name for name in files if _is_image(name))
    archives = [name for name in files if _is_archive(name)]
    if names or not archives:
        return _checked(
            ImageSource(path, names, lambda: ((name, lambda name=name: _read(path / name)) for name in names))  # type: ignore[misc]
        )
    parts = [_open_archive(path / name) for name in archives]
    joined = tuple(f"{archive}/{name}" for archive, part in zip(archives, parts, strict=True) for name in part.names)

    def stream() -> Iterator[tuple[str, Read]]:
        for archive, part in zip(archives, parts, strict=True):
            for name, read in part.stream():
                yield f"{archive}/{name}", read

    return _checked(ImageSource(path, joined, stream))


def _checked(source: ImageSource) -> ImageSource:
    if not len(source):
        raise DataError(f"{source.path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return source


def _is_archive(name: str) -> bool:
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
    return file.read_bytes()


def _open_archive(path: Path) -> ImageSource:
    try:
        return _open_zip(path) if path.name.lower().endswith(".zip") else _open_tar(path)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as an archive ({error}): copy or download it again") from error


def _open_zip(path: Path) -> ImageSource:
    with zipfile.ZipFile(path) as archive:
        names = tuple(
            sorted(one.filename for one in archive.infolist() if not one.is_dir() and _is_image(one.filename))
        )

    def stream() -> Iterator[tuple[str, Read]]:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                content = _whole(archive, name)
                yield name, lambda content=content: _given(content)  # type: ignore[misc]

    return ImageSource(path, names, stream)


def _whole(archive: zipfile.ZipFile, name: str) -> bytes | Exception:
    """The bytes, or what is wrong with this one image: the others may be whole."""
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:  # RuntimeError: a password is needed
        return error


def _open_tar(path: Path) -> ImageSource:
    with tarfile.open(path) as archive:
        names = tuple(one.name for one in _entries(archive))

    def stream() -> Iterator[tuple[str, Read]]:
        with tarfile.open(path) as archive:
            for one in _entries(archive):
                file = archive.extractfile(one)
                assert file is not None
                content = file.read()
                yield one.name, lambda content=content: content  # type: ignore[misc]

    return ImageSource(path, names, stream)


def _entries(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The images, one by one; the archive would remember every entry, a kilobyte each."""
    for one in archive:
        archive.members.clear()  # type: ignore[attr-defined]
        if one.isfile() and _is_image(one.name):
            yield one


def _given(content: bytes | Exception) -> bytes:
    if isinstance(content, Exception):
        raise DataError(str(content)) from content
    return content

"""Images of a zip archive in order of name, read without unpacking; a damaged entry spoils only itself."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from improved_gan.data.file_names import zip_name
from improved_gan.data.left_out import LeftOut

__all__ = ["open_zip"]

_BEGINNING = 32

Wanted = Callable[[str, Callable[[], bytes]], bool]


def open_zip(
    path: Path, wanted: Wanted, left_out: LeftOut, check_size: Callable[[int], None]
) -> tuple[tuple[str, ...], Callable[[], Iterator[tuple[str, bytes | Exception]]]]:
    """Names of the wanted entries, and a function that gives name and content of each, or what is wrong with it.

    Args:
        path: of the archive.
        wanted: decides from an entry's plain name, and a function that reads its first bytes, whether it is wanted.
        left_out: counts the others.
        check_size: raises for a size that is not to be read.

    Raises:
        BadZipFile, OSError and others: damaged as a whole.
    """
    with zipfile.ZipFile(path) as archive:
        entries = [(zip_name(one), index) for index, one in enumerate(archive.infolist())]
        chosen = [
            (name, index) for name, index in entries if _is_wanted(archive, archive.infolist()[index], name, wanted)
        ]
        _count(archive, entries, {index for _, index in chosen}, left_out)
    chosen.sort()
    names = tuple(name for name, _ in chosen)
    indices = [index for _, index in chosen]

    def contents() -> Iterator[tuple[str, bytes | Exception]]:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            for name, index in zip(names, indices, strict=True):
                if index >= len(entries) or zip_name(entries[index]) != name:
                    raise zipfile.BadZipFile("it has changed since it was opened")
                yield name, _whole(archive, entries[index], check_size)

    return names, contents


def _is_wanted(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, wanted: Wanted) -> bool:
    return not _is_folder(entry) and wanted(name, lambda: _beginning(archive, entry))


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith(("/", "\\"))  # a program that writes backslashes does so for folders, too


def _count(archive: zipfile.ZipFile, entries: list[tuple[str, int]], chosen: set[int], left_out: LeftOut) -> None:
    for name, index in entries:
        if _is_folder(archive.infolist()[index]):
            left_out.note_folder(name.rstrip("/"))
        else:
            left_out.note(name, is_image=index in chosen)


def _beginning(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(entry) as file:
            return file.read(_BEGINNING)
    except MemoryError:
        raise
    except Exception:  # damaged, or a password is needed: its type cannot be read
        return b""


def _whole(archive: zipfile.ZipFile, one: zipfile.ZipInfo, check_size: Callable[[int], None]) -> bytes | Exception:
    """The bytes, or what is wrong with this one image: the others may be whole."""
    try:
        check_size(one.file_size)
        return archive.read(one)
    except MemoryError:
        raise
    except Exception as error:  # decompressors raise errors of a dozen kinds; RuntimeError: a password is needed
        return error

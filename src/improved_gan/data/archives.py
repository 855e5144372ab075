"""Images of a zip or tar archive in order of name, read without unpacking.

A damaged entry of a zip spoils only itself; a tar that was cut or damaged is an error.
"""

import io
import operator
import posixpath
import shutil
import tarfile
import tempfile
import zipfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from improved_gan.data.file_names import plain_name, zip_name
from improved_gan.data.left_out import LeftOut

__all__ = ["TarIndex", "open_zip"]


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
    return not _is_folder(entry) and wanted(name, lambda: _zip_beginning(archive, entry))


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith(("/", "\\"))  # a program that writes backslashes does so for folders, too


def _count(archive: zipfile.ZipFile, entries: list[tuple[str, int]], chosen: set[int], left_out: LeftOut) -> None:
    for name, index in entries:
        if _is_folder(archive.infolist()[index]):
            left_out.note_folder(name.rstrip("/"))
        else:
            left_out.note(name, is_image=index in chosen)


def _zip_beginning(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
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


_SPARSE, _BROKEN_LINK = -1, -2  # in place of a size
_PROBLEMS = {
    _SPARSE: "is stored as a sparse file: pack it without --sparse",
    _BROKEN_LINK: "is a link to no image here",
}


class _Entry(tarfile.TarInfo):
    """`tarfile` takes a damaged or missing header for the end of the archive; only a block of zeros is."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"cut or damaged after {tarfile_.offset} bytes") from error


@dataclass
class TarIndex:
    """Offsets of the images in an archive: 16 bytes an image besides its name.

    Attributes:
        path: of the archive.
        names: of its images, sorted; links are images too, and so is every one of several entries of one name.
        offsets: of each image's first byte in the (decompressed) archive.
        sizes: of each image in bytes; negative for one that cannot be read.
    """

    path: Path
    names: list[str] = field(default_factory=list)
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("q"))

    @classmethod
    def of(cls, path: Path, wanted: Wanted, left_out: LeftOut) -> Self:
        """Read every header, and compressed archives to their end, so that check sums are compared.

        Args:
            path: of the archive.
            wanted: decides from an entry's plain name, and a function that reads its first bytes, whether it is wanted.
            left_out: counts the others.

        Raises:
            TarError, OSError, EOFError, zlib.error, LZMAError: cut, damaged, or something else.
        """
        index, links = cls(path), dict[int, str]()
        with tarfile.open(path, tarinfo=_Entry) as archive:
            while (one := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would remember a kilobyte an entry
                name = plain_name(one.name)
                if not _is_meant(archive, one, name, wanted, left_out):
                    continue
                if not one.isfile():
                    links[len(index.names)] = _target(one)
                index.names.append(name)
                index.offsets.append(one.offset_data)
                index.sizes.append(_SPARSE if one.issparse() else one.size if one.isfile() else _BROKEN_LINK)
            _read_to_the_end(archive)
        index._follow(links)
        index._sort()
        return index

    def _follow(self, links: dict[int, str]) -> None:
        wanted = set(links.values())
        known = {posixpath.normpath(name): row for row, name in enumerate(self.names) if row not in links}
        found = {name: row for name, row in known.items() if name in wanted}
        for row, target in links.items():
            if target in found:
                self.offsets[row], self.sizes[row] = self.offsets[found[target]], self.sizes[found[target]]

    def _sort(self) -> None:
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        self.names = [self.names[row] for row in order]
        self.offsets = array("q", [self.offsets[row] for row in order])
        self.sizes = array("q", [self.sizes[row] for row in order])

    def stream(self, check_size: Callable[[int], None]) -> Iterator[tuple[str, bytes | ValueError]]:
        """Name and content of each image, or what is wrong with this one.

        Args:
            check_size: raises ValueError for a size that is not to be read.
        """
        with ExitStack() as stack:
            file: Any = stack.enter_context(tarfile.open(self.path, tarinfo=_Entry)).fileobj
            if not isinstance(file, io.BufferedReader) and any(map(operator.gt, self.offsets, self.offsets[1:])):
                file = _decompressed(file, stack)  # each step back would decompress everything again
            for name, offset, size in zip(self.names, self.offsets, self.sizes, strict=True):
                yield name, _content(file, offset, size, check_size)


def _is_meant(archive: tarfile.TarFile, one: tarfile.TarInfo, name: str, wanted: Wanted, left_out: LeftOut) -> bool:
    """Whether an entry is wanted; it is counted where it is not."""
    if one.isdir():
        left_out.note_folder(name)
        return False
    if not (one.isfile() or one.islnk() or one.issym()):
        left_out.note_no_file()
        return False
    meant = wanted(name, lambda: _beginning(archive, one))
    left_out.note(name, is_image=meant)
    return meant


def _beginning(archive: tarfile.TarFile, one: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(one) if one.isfile() and not one.issparse() else None
    return b"" if file is None else file.read(_BEGINNING)


def _target(link: tarfile.TarInfo) -> str:
    """A hard link names its target from the archive's top, a symbolic one from its own folder."""
    start = "" if link.islnk() else posixpath.dirname(plain_name(link.name))
    return posixpath.normpath(posixpath.join(start, plain_name(link.linkname)))


def _read_to_the_end(archive: tarfile.TarFile) -> None:
    file: Any = archive.fileobj
    while block := file.read(1 << 16):
        if block.strip(b"\0"):
            raise tarfile.ReadError(f"more follows after its end, {archive.offset} bytes: damaged, or several in one")


def _decompressed(file: IO[bytes], stack: ExitStack) -> IO[bytes]:
    whole = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  (the stack closes it)
    file.seek(0)
    shutil.copyfileobj(file, whole, 1 << 20)
    return whole


def _content(file: IO[bytes], offset: int, size: int, check_size: Callable[[int], None]) -> bytes | ValueError:
    if size < 0:
        return ValueError(_PROBLEMS[size])
    try:
        check_size(size)
    except ValueError as error:
        return error
    file.seek(offset)
    content = file.read(size)
    if len(content) < size:
        raise EOFError("it has become shorter")
    return content

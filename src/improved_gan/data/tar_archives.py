"""Images of a tar archive in order of name, read without unpacking; an archive that was cut or damaged is an error."""

import io
import operator
import posixpath
import shutil
import tarfile
import tempfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from improved_gan.data.file_names import plain_name
from improved_gan.data.left_out import LeftOut

__all__ = ["TarIndex"]

_BEGINNING = 32

Wanted = Callable[[str, Callable[[], bytes]], bool]

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

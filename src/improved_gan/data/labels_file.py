"""A labels file: one row an image, its file and its class, as CSV or TSV.

With a header (any of the usual names, more columns are passed over) or without one (file, label). Names are relative to
the folder of images or to the labels file, or absolute; accents, slashes and capitals may be written otherwise than on
the disk, where that leaves one image. Values that mean that no label is known: see `unknown_labels`.
"""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from improved_gan.data.dataset import DataError
from improved_gan.data.file_names import NameTable
from improved_gan.data.image_endings import IMAGE_SUFFIXES
from improved_gan.data.left_out import SAMPLE_OVERVIEWS
from improved_gan.data.unknown_labels import is_unknown, label_notices, only_known, plain_label
from improved_gan.data.wording import listed

__all__ = ["read_labels", "read_labels_file"]

_FILE_COLUMNS = (
    "file", "filename", "file_name", "path", "filepath", "file_path", "image", "image_path", "image_name", "name"
)  # fmt: skip
_LABEL_COLUMNS = ("label", "labels", "class", "classes", "class_name", "category", "target", "y")


def read_labels(path: Path, names: Sequence[str], folder: Path) -> dict[str, str]:
    """The labels of `read_labels_file`, without its notices."""
    return read_labels_file(path, names, folder)[0]


def read_labels_file(path: Path, names: Sequence[str], folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The labels that a file gives to images.

    Args:
        path: CSV (commas or semicolons) or TSV, UTF-8, with or without a byte order mark.
        names: of the images, relative to their folder or archive.
        folder: of the images.

    Returns:
        Class by name, for the images that have one, and notices of missing values in words.

    Raises:
        DataError: unreadable, not of this form, names of files that are not there, two labels for one file, or labels
            that may be a class or mean that none is known.
    """
    rows = list(_rows(path))
    if not rows:
        raise DataError(f"{path} is empty: write one row an image, file,label")
    start, file_column, label_column = _columns(path, rows[0][1])
    found, without, unknown, twice = dict[str, str](), list[str](), [], []
    resolver = _Names(names, folder, path.parent)
    for line, cells in rows[start:]:
        if len(cells) <= max(file_column, label_column):
            raise DataError(
                f"{path}, line {line}: {len(cells)} columns, so the label is missing: {','.join(cells)[:80]}"
            )
        name, label = resolver.resolve(cells[file_column].strip()), plain_label(cells[label_column])
        if name is None:
            unknown.append(cells[file_column])
        elif is_unknown(label):
            without.append(label)
        elif found.setdefault(name, label) != label:
            twice.append(f"{name} ({found[name]}, {label})")
    if not start and unknown and unknown[0] == rows[0][1][0] and not _ends_like_an_image(unknown[0]):
        raise DataError(_unknown_header(path, rows[0][1]))
    _refuse(path, folder, unknown, twice, num_rows=len(rows) - start, ambiguous=resolver.ambiguous)
    known, _ = only_known(found, str(path))
    if not known:
        raise DataError(f"{path} gives no label to any image: fill the column of labels, or omit --labels")
    return known, label_notices(without, str(path))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not blank."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"the labels file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}): save it as CSV in UTF-8") from error
    first = next(filter(str.strip, text.splitlines()), "")
    delimiter = max("\t,;", key=re.sub('"[^"]*"', "", first).count)  # the tab where there is none of them
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}: fix the quotes in this row") from error


def _columns(path: Path, first: Sequence[str]) -> tuple[int, int, int]:
    """The first row of data, and the columns of file and label."""
    header = [cell.strip().lower() for cell in first]
    file = next((header.index(name) for name in _FILE_COLUMNS if name in header), None)
    label = next((header.index(name) for name in _LABEL_COLUMNS if name in header), None)
    if file is not None and label is not None and file != label:
        return 1, file, label
    if len(first) == 2:
        return 0, 0, 1
    raise DataError(_unknown_header(path, first))


def _unknown_header(path: Path, first: Sequence[str]) -> str:
    return (
        f"{path}: its first row ({','.join(first)[:80]}) is not recognized as a header, and a file without one has two "
        f"cells, an image and its label: name the column of images one of {', '.join(_FILE_COLUMNS)}, and that of "
        f"labels one of {', '.join(_LABEL_COLUMNS)}"
    )


def _ends_like_an_image(name: str) -> bool:
    return PurePosixPath(name.strip()).suffix.lower() in IMAGE_SUFFIXES


class _Names:
    """Finds the image that a row means.

    Attributes:
        ambiguous: names that could mean several images.
    """

    def __init__(self, names: Sequence[str], folder: Path, beside: Path) -> None:
        self._known = NameTable(names)
        self._folder = _absolute(folder)
        self._beside = _absolute(beside)
        self.ambiguous: list[str] = []

    def resolve(self, written: str) -> str | None:
        """Its name as the folder has it, or None."""
        for one in (written, written.replace("\\", "/")):
            if (found := self._known.find(str(PurePosixPath(one)))) is not None:
                return found
            for start in (self._beside, self._folder.parent):
                whole = Path(os.path.normpath(start / one))
                inside = whole.relative_to(self._folder).as_posix() if whole.is_relative_to(self._folder) else None
                if inside is not None and (found := self._known.find(inside)) is not None:
                    return found
        if self._known.is_ambiguous(written):
            self.ambiguous.append(written)
        return None


def _absolute(path: Path) -> Path:
    """Without following links: the name counts."""
    return Path(os.path.normpath(Path.cwd() / path))


def _refuse(
    path: Path,
    folder: Path,
    unknown: Sequence[str],
    twice: Sequence[str],
    *,
    num_rows: int,
    ambiguous: Sequence[str],
) -> None:
    if ambiguous:
        raise DataError(
            f"{path} has labels for {len(ambiguous)} files of which {folder} has several that differ in capitals or "
            f"accents only ({listed(ambiguous)}): write these names as they are on the disk"
        )
    if len(unknown) == num_rows and num_rows:
        raise DataError(
            f"none of the {num_rows} files that {path} names is an image in {folder} ({listed(unknown)}): write names "
            f"relative to that folder, or to the labels file{_overviews_among(unknown)}"
        )
    if unknown:
        raise DataError(
            f"{path} has labels for {len(unknown)} files that are not among the images in {folder} ("
            f"{listed(unknown)}): correct or remove these rows{_overviews_among(unknown)}"
        )
    if twice:
        raise DataError(f"{path} gives two labels to {len(Counter(twice))} files ({listed(twice)}): keep one of each")


def _overviews_among(names: Sequence[str]) -> str:
    """Why the grids and galleries of `sample` are not among the images, where some of the names may be such."""
    found = dict.fromkeys(
        name for one in names if (name := one.replace("\\", "/").rpartition("/")[2]) in SAMPLE_OVERVIEWS
    )
    return f" (beside a folder images, {listed(list(found))} of `sample` is left out: no sample)" if found else ""

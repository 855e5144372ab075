"""A labels file: one row an image, its file and its class, as CSV or TSV.

With a header (any of the usual names, more columns are passed over) or without one (file, label). Names are relative to
the folder of images or to the labels file, or absolute. An empty label, or -1, says that none is known.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from improved_gan.data.dataset import DataError

__all__ = ["read_labels"]

_FILE_COLUMNS = ("file", "filename", "file_name", "path", "filepath", "file_path", "image", "image_path", "name")
_LABEL_COLUMNS = ("label", "class", "class_name", "category", "target", "y")
_LISTED = 5  # names in an error


def read_labels(path: Path, names: Sequence[str], folder: Path) -> dict[str, str]:
    """The labels that a file gives to images.

    Args:
        path: CSV (commas or semicolons) or TSV, UTF-8, with or without a byte order mark.
        names: of the images, relative to their folder or archive.
        folder: where the images lie.

    Returns:
        Class by name, for the images that have one.

    Raises:
        DataError: unreadable, not of this form, names of files that are not there, or two labels for one file.
    """
    rows = list(_rows(path))
    if not rows:
        raise DataError(f"{path} is empty: write one row an image, file,label")
    start, file_column, label_column = _columns(path, rows[0][1], frozenset(names))
    found, unknown, twice = dict[str, str](), [], []
    resolver = _Names(names, folder, path.parent)
    for line, cells in rows[start:]:
        if len(cells) <= max(file_column, label_column):
            raise DataError(
                f"{path}, line {line}: {len(cells)} columns, so the label is missing: {','.join(cells)[:80]}"
            )
        name = resolver.resolve(cells[file_column].strip())
        label = cells[label_column].strip()
        if name is None:
            unknown.append(cells[file_column])
        elif label not in ("", "-1") and found.setdefault(name, label) != label:
            twice.append(f"{name} ({found[name]}, {label})")
    _refuse(path, folder, unknown, twice, num_rows=len(rows) - start)
    if not found:
        raise DataError(f"{path} gives no label to any image: fill the column of labels, or leave --labels out")
    return found


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not blank."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"the labels file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}): save it as CSV in UTF-8") from error
    first = text.split("\n", 1)[0]
    delimiter = max("\t,;", key=first.count)  # the tab where there is none of them
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}: mend the quotes of this row") from error


def _columns(path: Path, first: Sequence[str], names: frozenset[str]) -> tuple[int, int, int]:
    """The first row of data, and the columns of file and label."""
    header = [cell.strip().lower() for cell in first]
    file = next((header.index(name) for name in _FILE_COLUMNS if name in header), None)
    label = next((header.index(name) for name in _LABEL_COLUMNS if name in header), None)
    if file is not None and label is not None and file != label:
        return 1, file, label
    if len(first) == 2:
        return 0, 0, 1
    raise DataError(
        f"{path}: its first row ({','.join(first)[:80]}) names no columns for file and label, and has {len(first)} "
        "cells where a file without a header has two: begin with a row file,label"
    )


class _Names:
    """Finds the image that a row means."""

    def __init__(self, names: Sequence[str], folder: Path, beside: Path) -> None:
        self._known = frozenset(names)
        self._folder = _absolute(folder)
        self._beside = _absolute(beside)

    def resolve(self, written: str) -> str | None:
        """Its name as the folder has it, or None."""
        for one in (written, written.replace("\\", "/")):
            plain = str(PurePosixPath(one))
            if plain in self._known:
                return plain
            for start in (self._beside, self._folder.parent):
                whole = Path(os.path.normpath(start / one))
                if whole.is_relative_to(self._folder):
                    inside = str(whole.relative_to(self._folder))
                    if inside in self._known:
                        return inside
        return None


def _absolute(path: Path) -> Path:
    """Without following links: the name counts."""
    return Path(os.path.normpath(Path.cwd() / path))


def _refuse(path: Path, folder: Path, unknown: Sequence[str], twice: Sequence[str], *, num_rows: int) -> None:
    if len(unknown) == num_rows and num_rows:
        raise DataError(
            f"none of the {num_rows} files that {path} names is an image in {folder} ({_some(unknown)}): write names "
            "relative to that folder, or to the labels file"
        )
    if unknown:
        raise DataError(
            f"{path} has labels for {len(unknown)} files that are not among the images in {folder} ({_some(unknown)}): "
            "correct or remove these rows"
        )
    if twice:
        raise DataError(f"{path} gives two labels to {len(Counter(twice))} files ({_some(twice)}): keep one of each")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more

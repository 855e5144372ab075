"""Labels that people have given, as CSV or TSV of file,label: what the page writes and training reads."""

import csv
from pathlib import Path

from improved_gan.data.dataset import DataError

__all__ = ["read_labels"]


def read_labels(path: Path) -> dict[str, str]:
    """File -> label, in the order of the rows.

    Args:
        path: CSV, or TSV where its name ends in .tsv; the first row may be the header `file,label`. Empty labels are
            left out.

    Raises:
        DataError: no such file, not UTF-8, a row without two fields, or a file with two different labels.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    found: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.reader(file, delimiter=delimiter), 1):
                if not row or (number == 1 and [field.strip().lower() for field in row[:2]] == ["file", "label"]):
                    continue
                if len(row) < 2 or not row[0]:
                    raise DataError(f"{path}, row {number}: two fields, file{delimiter!r}label, are needed; got {row}")
                if row[1].strip() and found.setdefault(row[0], row[1].strip()) != row[1].strip():
                    raise DataError(f"{path} labels {row[0]} both {found[row[0]]} and {row[1].strip()}: keep one")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as labels: {error}") from error
    return found

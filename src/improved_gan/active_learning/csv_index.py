"""An index from image names to rows of CSV files on disk: 32 bytes of memory per row, however long the names."""

import csv
import hashlib
import io
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowTable", "csv_row", "fields_of", "read_rows", "whole_rows"]


def csv_row(fields: Sequence[str]) -> bytes:
    """One line of CSV; a name may hold anything that a file system allows.

    >>> csv_row(['a,"b".png', "7"])
    b'"a,""b"".png",7\\n'
    """
    # Python's writer leaves a lone carriage return unquoted, which its reader takes for the end of the row.
    quoted = ('"' + field.replace('"', '""') + '"' if any(c in field for c in '",\r\n') else field for field in fields)
    return (",".join(quoted) + "\n").encode(errors="surrogateescape")


def fields_of(row: bytes) -> list[str]:
    """The fields of one row that `csv_row` made."""
    text = io.StringIO(row.decode(errors="surrogateescape"), newline="")
    return next(csv.reader(text))


def read_rows(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Where each row begins, and its bytes; a quoted name may go over several lines. A row cut short is left out."""
    start, row, quotes = file.tell(), b"", 0
    for line in file:
        row, quotes = row + line, quotes + line.count(b'"')
        if quotes % 2 == 0 and line.endswith(b"\n"):
            yield start, row
            start, row, quotes = start + len(row), b"", 0


def whole_rows(path: Path, start: int, num_fields: int) -> tuple[list["array[int]"], int]:
    """Four numbers a row, and where the whole rows end: what follows was being written when the process stopped.

    Returns:
        Hash of the first field, first 64 bits of the last one (a SHA-256), offset, size; and the end in bytes.
    """
    columns = [array("Q") for _ in range(4)]
    end = start
    with path.open("rb") as file:
        file.seek(start)
        for offset, row in read_rows(file):
            try:
                fields = fields_of(row)
                if len(fields) != num_fields or b"\0" in row:  # a power failure may leave such bytes
                    break
                values = (_key(fields[0]), int.from_bytes(bytes.fromhex(fields[-1])[:8]), offset, len(row))
            except (ValueError, csv.Error, StopIteration):
                break
            for column, value in zip(columns, values, strict=True):
                column.append(value)
            end = offset + len(row)
    return columns, end


@dataclass(frozen=True)
class RowTable:
    """The position of each image's newest row, in several files.

    Attributes:
        keys: (rows,) hashes of the names, sorted.
        numbers: (rows, 4) content, number of the file, offset, size.
    """

    keys: NDArray[np.uint64]
    numbers: NDArray[np.uint64]

    @classmethod
    def of(cls, files: Iterable[list["array[int]"]]) -> "RowTable":
        """From `whole_rows` of each file; later files and rows are newer."""
        keys, numbers = [np.zeros(0, np.uint64)], [np.zeros((0, 4), np.uint64)]
        for number, (names, contents, offsets, sizes) in enumerate(map(_arrays, files)):
            keys.append(names)
            numbers.append(np.stack([contents, np.full_like(names, number), offsets, sizes], 1))
        all_keys = np.concatenate(keys)
        order = np.argsort(all_keys, kind="stable")
        return cls(all_keys[order], np.concatenate(numbers)[order])

    def find(self, name: str) -> tuple[int, int, int, int] | None:
        """(content, number of the file, offset, size) of an image's newest row; None where it has none."""
        key = np.uint64(_key(name))
        index = int(np.searchsorted(self.keys, key, side="right")) - 1
        if index < 0 or self.keys[index] != key:
            return None
        content, number, start, size = self.numbers[index].tolist()
        return content, number, start, size


def _arrays(columns: list["array[int]"]) -> list[NDArray[np.uint64]]:
    return [np.frombuffer(column, np.uint64) if len(column) else np.zeros(0, np.uint64) for column in columns]


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest())

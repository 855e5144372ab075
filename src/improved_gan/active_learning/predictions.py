"""A resumable CSV file of predictions: rows are appended to `OUT.part`, which replaces OUT when it is complete.

    OUT        one row for each image, in the order of the images; replaced atomically
    OUT.json   its provenance: run, step, options, and the SHA-256 of OUT, which reveals a change by hand (and that
               of the previous OUT, in case the machine stops between the two)
    OUT.part   during classification: one line with the provenance, then rows as they are made
    .OUT.lock  empty; locked while a process writes the other files

Each row ends with the SHA-256 of the image's content. A row is reused as long as the image and the provenance are the
same: a repeated command continues where it stopped, and classifies only images that are new or have changed.
Only files that this module wrote, and that are unchanged since, are replaced.

The index from image names to rows stays on disk: 32 bytes of memory per row, however long the names.
"""

import csv
import hashlib
import io
import json
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from improved_gan.data.dataset import DataError
from improved_gan.io import write_atomically

__all__ = ["Finished", "Predictions", "RowTable", "csv_row", "fields_of", "read_rows", "whole_rows"]


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


_BLOCK = 1 << 20


@dataclass(frozen=True)
class Finished:
    """State of the file: number of rows, rows of each label, and whether anything was written."""

    rows: int
    labels: Counter[str]
    changed: bool


class Predictions:
    """Rows of predictions on disk; a context manager that keeps other processes away.

    Args:
        out: the CSV file.
        columns: its header: `file` first, `label` second, `sha256` last.
        identity: provenance of the predictions, as JSON values; rows of another identity are not reused.

    Raises:
        DataError: another process writes this file, or one of the three files exists and is not ours.
        OSError: `out` cannot be written there.
    """

    def __init__(self, out: Path, columns: Sequence[str], identity: dict[str, Any]) -> None:
        self.out, self.columns, self.identity = out, list(columns), json.loads(json.dumps(identity))
        self.part, self.metadata_file = out.with_name(f"{out.name}.part"), out.with_name(f"{out.name}.json")
        self._header = csv_row(self.columns)
        out.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(out.with_name(f".{out.name}.lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise DataError(f"another process is writing {out}: wait for it, or give another --out") from error
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        """Read the existing rows."""
        self._file: BinaryIO = self.part.open("a+b")
        self._num_new = self.part.stat().st_size  # an empty file is deleted at the end
        try:
            self._digest = self._refuse_foreign()
        except DataError:
            self.__exit__(None, None, None)
            raise
        finished = self._finished_rows()
        self._num_finished = len(finished[0])
        part = self._repaired_part()
        self.num_kept = len(part[0])
        self._num_new = self.num_kept
        self._finished = finished
        self._table = RowTable.of([finished, part])

    def __enter__(self) -> "Predictions":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()  # first: Windows deletes no open file
        if not self._num_new:
            self.part.unlink(missing_ok=True)
        self._lock.release()

    def state(self, file: str, digest: str) -> str:
        """Whether an image with this content is `known`, `changed` or `new`."""
        found = self._table.find(file)
        return "new" if found is None else "known" if found[0] == int(digest[:16], 16) else "changed"

    def append(self, rows: Iterable[Sequence[str]]) -> None:
        """Keep rows; after this returns they survive the end of the process."""
        lines = [csv_row(row) for row in rows]
        self._file.write(b"".join(lines))
        self._file.flush()
        self._num_new += len(lines)

    def finish(self, files: Iterable[str], *, without: Collection[str]) -> Finished:
        """Write the newest row of each file to OUT, in their order, and delete OUT.part.

        Args:
            files: names of all images.
            without: names of images that could not be read this time.
        """
        part, _ = whole_rows(self.part, self._start, len(self.columns))
        table = RowTable.of([self._finished, part])
        positions = array("Q")
        for file in files:
            found = None if file in without else table.find(file)
            if found is not None:
                positions.extend(found[1:])
        if not positions:
            self._num_new = 0
            return Finished(0, Counter(), changed=False)
        if self._same_as_before(positions):
            self._num_new = 0
            return Finished(len(positions) // 3, Counter(), changed=False)
        labels = self._assemble(positions)
        self._num_new = 0
        return Finished(len(positions) // 3, labels, changed=True)

    def _refuse_foreign(self) -> str | None:
        """The SHA-256 of OUT, if it exists; an error if OUT, OUT.json or OUT.part was written by something else."""
        remedy = "give another --out, or move it away"
        self._metadata = _read_metadata(self.metadata_file)
        if self._metadata is None and self.metadata_file.exists():
            raise DataError(
                f"{self.metadata_file}, which would be written beside {self.out.name}, is another file: {remedy}"
            )
        self._file.seek(0)
        first = self._file.readline()
        if first and not first.startswith(b'{"identity"'):
            raise DataError(f"{self.part}, which would hold rows temporarily, is another file: {remedy}")
        if not self.out.exists():
            return None
        digest, metadata = _digest(self.out), self._metadata or {}
        if digest not in (metadata.get("sha256"), metadata.get("repositions")):
            why = "was not written by classify" if self._metadata is None else "was changed since classify wrote it"
            raise DataError(f"{self.out} exists and {why}, so it is not overwritten: {remedy}")
        return digest

    def _finished_rows(self) -> list["array[int]"]:
        """The rows of OUT, if its identity and hash agree with OUT.json."""
        metadata = self._metadata
        if (
            self._digest is None
            or metadata is None
            or (metadata["identity"], metadata["sha256"]) != (self.identity, self._digest)
        ):
            return [array("Q") for _ in range(4)]
        return whole_rows(self.out, len(self._header), len(self.columns))[0]

    def _repaired_part(self) -> list["array[int]"]:
        """The rows of OUT.part; the file is emptied if its identity differs, and cut after its last complete row."""
        first = json.dumps({"identity": self.identity}).encode() + b"\n"
        self._start = len(first)
        self._file.seek(0)
        if self._file.readline() != first:
            self._file.truncate(0)
            self._file.write(first)
            self._file.flush()
        rows, end = whole_rows(self.part, self._start, len(self.columns))
        self._file.truncate(end)
        return rows

    def _same_as_before(self, positions: "array[int]") -> bool:
        if self._num_new or len(positions) != 3 * self._num_finished:
            return False
        starts = positions[1::3]
        return all(before < after for before, after in pairwise(starts))

    def _assemble(self, positions: "array[int]") -> Counter[str]:
        temporary = self.out.with_name(f".{self.out.name}.tmp")
        labels, digest = Counter[str](), hashlib.sha256(self._header)
        try:
            with ExitStack() as stack:
                result = stack.enter_context(temporary.open("wb"))
                paths = (self.out if self._num_finished else self.part, self.part)
                sources = [stack.enter_context(path.open("rb")) for path in paths]
                result.write(self._header)
                for number, start, size in zip(positions[::3], positions[1::3], positions[2::3], strict=True):
                    sources[number].seek(start)
                    row = sources[number].read(size)
                    labels[fields_of(row)[1]] += 1
                    digest.update(row)
                    result.write(row)
            self._publish(temporary, labels, digest.hexdigest())
        finally:
            temporary.unlink(missing_ok=True)
        return labels

    def _publish(self, temporary: Path, labels: Counter[str], digest: str) -> None:
        """OUT.json first: if the machine stops between the two, the hash does not agree and no row is reused."""
        metadata = {"file": self.out.name, "sha256": digest, "repositions": self._digest, "rows": labels.total(),
                "labels": dict(labels), "entropy": "nats", "identity": self.identity}  # fmt: skip
        write_atomically(self.metadata_file, json.dumps(metadata, indent=1).encode())
        temporary.replace(self.out)
        self._file.close()
        self.part.unlink()


def _read_metadata(path: Path) -> dict[str, Any] | None:
    """The content of OUT.json; None if it is absent or not ours."""
    try:
        metadata = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return metadata if isinstance(metadata, dict) and {"identity", "sha256"} <= metadata.keys() else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

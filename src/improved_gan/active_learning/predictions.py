"""A CSV file of predictions that can be stopped and continued: rows grow in `OUT.part`, OUT appears whole.

    OUT        one row an image, in the order of the images; replaced at once, never half written
    OUT.json   what made it: run, step, options, and the SHA-256 of OUT, so that a file changed by hand is noticed
               (and that of the OUT before, should the machine stop between the two)
    OUT.part   while the work lasts: one line that says what makes it, then rows as they are made
    .OUT.lock  empty; locked while a process writes the others

Each row ends with the SHA-256 of the image's content. A row is used again for as long as the image and what makes the
predictions are the same; so the same command goes on where it stopped, and does only what is new or has changed.
Only files that were written here, and are as they were written, are ever replaced.
"""

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from improved_gan.active_learning.csv_index import RowTable, csv_row, fields_of, whole_rows
from improved_gan.data.dataset import DataError
from improved_gan.training.checkpoints import write_atomically

__all__ = ["Finished", "Predictions"]

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Finished:
    """How the file stands: rows, rows of each label, and whether anything had to be written."""

    rows: int
    labels: Counter[str]
    changed: bool


class Predictions:
    """Rows of predictions on disk; a context manager that keeps other processes away.

    Args:
        out: the CSV file.
        columns: its header: `file` first, `label` second, `sha256` last.
        identity: what makes the predictions, as JSON would hold it; rows of another identity are not used.

    Raises:
        DataError: another process is at work on this file, or one of the three is there and was not written here.
        OSError: `out` cannot be written there.
    """

    def __init__(self, out: Path, columns: Sequence[str], identity: dict[str, Any]) -> None:
        self.out, self.columns, self.identity = out, list(columns), json.loads(json.dumps(identity))
        self.part, self.card = out.with_name(f"{out.name}.part"), out.with_name(f"{out.name}.json")
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
        """What there is so far."""
        self._file: BinaryIO = self.part.open("a+b")
        self._num_new = self.part.stat().st_size  # nothing yet: an empty one is dropped at the end
        try:
            self._digest = self._refuse_foreign()
        except DataError:
            self.__exit__(None, None, None)
            raise
        finished = self._finished_rows()
        self._num_finished = len(finished[0])
        part = self._mended_part()
        self.num_kept = len(part[0])
        self._num_new = self.num_kept
        self._finished = finished
        self._table = RowTable.of([finished, part])

    def __enter__(self) -> "Predictions":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()  # first: Windows drops no file that is open
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
        """Put the newest row of each file into OUT, in their order, and drop OUT.part.

        Args:
            files: of all images.
            without: those that could not be read this time.
        """
        part, _ = whole_rows(self.part, self._start, len(self.columns))
        table = RowTable.of([self._finished, part])
        places = array("Q")
        for file in files:
            found = None if file in without else table.find(file)
            if found is not None:
                places.extend(found[1:])
        if not places:
            self._num_new = 0
            return Finished(0, Counter(), changed=False)
        if self._same_as_before(places):
            self._num_new = 0
            return Finished(len(places) // 3, Counter(), changed=False)
        labels = self._assemble(places)
        self._num_new = 0
        return Finished(len(places) // 3, labels, changed=True)

    def _refuse_foreign(self) -> str | None:
        """The SHA-256 of OUT, where there is one, after a look at whether OUT, OUT.json and OUT.part are ours."""
        remedy = "give another --out, or move it away"
        self._card = _card_in(self.card)
        if self._card is None and self.card.exists():
            raise DataError(f"{self.card}, which would be written beside {self.out.name}, is another file: {remedy}")
        self._file.seek(0)
        first = self._file.readline()
        if first and not first.startswith(b'{"identity"'):
            raise DataError(f"{self.part}, which would hold rows for a time, is another file: {remedy}")
        if not self.out.exists():
            return None
        digest, card = _digest(self.out), self._card or {}
        if digest not in (card.get("sha256"), card.get("replaces")):
            why = "was not written by classify" if self._card is None else "was changed since classify wrote it"
            raise DataError(f"{self.out} is there and {why}, so it is not overwritten: {remedy}")
        return digest

    def _finished_rows(self) -> list["array[int]"]:
        """The rows of OUT, where it is as the same work left it."""
        card = self._card
        if self._digest is None or card is None or (card["identity"], card["sha256"]) != (self.identity, self._digest):
            return [array("Q") for _ in range(4)]
        return whole_rows(self.out, len(self._header), len(self.columns))[0]

    def _mended_part(self) -> list["array[int]"]:
        """The rows of OUT.part; it is emptied where it is not ours, and cut after its last whole row."""
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

    def _same_as_before(self, places: "array[int]") -> bool:
        if self._num_new or len(places) != 3 * self._num_finished:
            return False
        starts = places[1::3]
        return all(before < after for before, after in pairwise(starts))

    def _assemble(self, places: "array[int]") -> Counter[str]:
        temporary = self.out.with_name(f".{self.out.name}.tmp")
        labels, digest = Counter[str](), hashlib.sha256(self._header)
        try:
            with ExitStack() as stack:
                result = stack.enter_context(temporary.open("wb"))
                paths = (self.out if self._num_finished else self.part, self.part)
                sources = [stack.enter_context(path.open("rb")) for path in paths]
                result.write(self._header)
                for number, start, size in zip(places[::3], places[1::3], places[2::3], strict=True):
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
        """The card first: where the machine stops between the two, its hash does not fit, and no row is believed."""
        card = {"file": self.out.name, "sha256": digest, "replaces": self._digest, "rows": labels.total(),
                "labels": dict(labels), "entropy": "nats", "identity": self.identity}  # fmt: skip
        write_atomically(self.card, json.dumps(card, indent=1).encode())
        temporary.replace(self.out)
        self._file.close()
        self.part.unlink()


def _card_in(path: Path) -> dict[str, Any] | None:
    """What is in OUT.json; None where it is not there or no card."""
    try:
        card = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return card if isinstance(card, dict) and {"identity", "sha256"} <= card.keys() else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

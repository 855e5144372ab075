"""A cache of decoded images: small sets are decoded into memory, larger ones once into a memory-mapped file.

The file's name is a hash of the images' content and of how they were prepared, so any number of runs use it, renamed
images cost nothing and changed ones are decoded anew. It is written by one process while others wait, goes on where it
was stopped, and gets its name when it is whole. It may be deleted at any time.

    KEY.u8     (N, C, S, S) uint8        KEY.json   how many, and what was wrong with those that could not be decoded

Several threads decode the images of a scan, in order; one that cannot be decoded is reported, others go on.
"""

import hashlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from improved_gan.console import progress_bar
from improved_gan.data.dataset import DataError
from improved_gan.data.image_index import ImageIndex
from improved_gan.data.images import center_crop_resize
from improved_gan.data.ordered_map import chunked, ordered_map
from improved_gan.data.value_range import ValueRange
from improved_gan.data.waiting_lock import waiting_lock
from improved_gan.io import write_atomically

__all__ = ["SMALL", "Decoded", "decode_images", "decode_rows"]


_CHUNK = 32

Read = Callable[[], bytes]


def decode_rows(
    scan: ImageIndex, shape: Sequence[int], *, workers: int, first: int = 0, values: ValueRange | None = None
) -> Iterator[Tensor | str]:
    """Each image of a scan as a square (see `images.center_crop_resize`), or the reason why it cannot be used.

    Args:
        scan: which images.
        shape: (C, S, S).
        workers: threads that decode.
        first: the row of the scan to begin with.
        values: black and white in the values of the files; None where the file type defines them.

    Raises:
        DataError: a file has changed since the scan, or an archive is damaged as a whole.
    """
    channels, size, _ = shape

    def decode(chunk: list[tuple[int, tuple[str, Read]]]) -> list[Tensor | str]:
        return [_decode(*one, scan.hashes[row].tobytes(), channels, size, values) for row, one in chunk]

    wanted = np.zeros(len(scan.source), dtype=np.bool_)
    wanted[scan.rows] = True
    remaining = islice(enumerate(compress(scan.source.stream(), wanted)), first, None)
    for found in ordered_map(decode, chunked(remaining, _CHUNK), workers=workers):
        yield from found


def _decode(name: str, read: Read, digest: bytes, channels: int, size: int, values: ValueRange | None) -> Tensor | str:
    try:
        content = read()
    except (DataError, OSError) as error:  # it could be read a moment ago
        raise DataError(f"{name} can no longer be read ({error}): run the same command again") from error
    if hashlib.sha256(content).digest() != digest:
        raise DataError(f"{name} has changed while the images were read: run the same command again")
    try:
        return center_crop_resize(content, "it", channels=channels, size=size, values=values)
    except DataError as error:
        return str(error).removeprefix("it ")


SMALL = 2**26  # bytes: up to here images are decoded at each start and leave no file

_SAVE_EVERY = 10.0  # seconds
_FORMAT = 2  # of the cache; another rule of preparation needs another number


@dataclass(frozen=True)
class Decoded:
    """Images of one size.

    Attributes:
        images: (N, C, S, S) uint8 of those that could be decoded, in the order of the scan.
        bad: what was wrong with each of the others, by its row in the scan.
        made: how many were decoded now, and not found in the cache.
        seconds: how long that took.
        file: where they are stored, or None: in memory.
    """

    images: Tensor
    bad: dict[int, str] = field(default_factory=dict)
    made: int = 0
    seconds: float = 0.0
    file: Path | None = None


def decode_images(
    scan: ImageIndex,
    *,
    channels: int,
    size: int,
    folder: Path,
    workers: int,
    small: int = SMALL,
    values: ValueRange | None = None,
) -> Decoded:
    """All images of a scan as squares of one size (see `images.center_crop_resize`).

    Args:
        scan: which images.
        channels: 3 for color, 1 for grayscale.
        size: pixels of a side.
        folder: of the cache; made when it is needed.
        workers: threads that decode.
        small: bytes up to which the images are decoded into memory and no file is written.
        values: black and white in the values of the files; None where the file type defines them.

    Raises:
        DataError: no space left on the disk; or an archive that is damaged as a whole, or has changed since the scan.
    """
    shape = (channels, size, size)
    row_bytes = channels * size * size
    if row_bytes * len(scan) <= small:
        return _in_memory(scan, shape, workers, values)
    key = hashlib.sha256(f"{_FORMAT}|{channels}|{size}|{values}|{scan.digest()}".encode()).hexdigest()[:32]
    file = folder / f"{key}.u8"
    started, made = time.perf_counter(), 0
    if not _is_whole(file):
        _make_folder(folder)
        busy = f"waiting for another process that decodes the same images into {file}"
        with waiting_lock(folder / f"{key}.lock", busy=busy):
            if not _is_whole(file):
                made = _write(scan, shape, file, workers, values)
    note = json.loads(_note(file).read_text(encoding="utf-8"))
    images = _mapped(file, (note["num"], *shape))
    bad = {int(row): reason for row, reason in note["bad"].items()}
    return Decoded(images, bad, made, time.perf_counter() - started if made else 0.0, file)


def _in_memory(scan: ImageIndex, shape: tuple[int, int, int], workers: int, values: ValueRange | None) -> Decoded:
    images, bad = torch.empty(len(scan), *shape, dtype=torch.uint8), {}
    started, kept = time.perf_counter(), 0
    with progress_bar("decoding", total=len(scan)) as advance:
        for row, found in enumerate(decode_rows(scan, shape, workers=workers, values=values)):
            advance(1)
            if isinstance(found, str):
                bad[row] = found
            else:
                images[kept] = found
                kept += 1
    return Decoded(images[:kept], bad, len(scan), time.perf_counter() - started)


def _write(scan: ImageIndex, shape: tuple[int, int, int], file: Path, workers: int, values: ValueRange | None) -> int:
    """Decode into the file, from where an earlier start was stopped; returns how many were decoded now."""
    part, row_bytes = file.with_suffix(".part"), int(np.prod(shape))
    state = _stored_state(part, row_bytes)
    _check_room(file, row_bytes * (len(scan) - state.rows))
    first = state.rows
    with part.open("r+b" if part.exists() else "w+b") as out:
        out.truncate(state.kept * row_bytes)
        out.seek(0, os.SEEK_END)
        last_save = time.monotonic()
        with progress_bar("decoding", total=len(scan), done=first) as advance:
            try:
                for found in decode_rows(scan, shape, first=first, workers=workers, values=values):
                    if isinstance(found, str):
                        state.bad[state.rows] = found
                    else:
                        out.write(found.contiguous().numpy().tobytes())
                        state.kept += 1
                    state.rows += 1
                    advance(1)
                    if time.monotonic() - last_save > _SAVE_EVERY:
                        state.save(out, part)
                        last_save = time.monotonic()
            finally:
                state.save(out, part)
    if state.rows != len(scan):
        raise DataError(f"{scan.source.path} has fewer images than a moment ago: run the same command again")
    note = {"num": state.kept, "shape": shape, "bad": state.bad}
    write_atomically(_note(file), json.dumps(note).encode())
    part.replace(file)
    part.with_suffix(".part.json").unlink()
    return state.rows - first


@dataclass
class _State:
    """How far a file is written."""

    rows: int = 0  # of the scan
    kept: int = 0  # of these, in the file
    bad: dict[int, str] = field(default_factory=dict)

    def save(self, out: BinaryIO, part: Path) -> None:
        """The content first, so that what the note promises is there."""
        out.flush()
        os.fsync(out.fileno())
        note = {"rows": self.rows, "kept": self.kept, "bad": self.bad}
        write_atomically(part.with_suffix(".part.json"), json.dumps(note).encode())


def _stored_state(part: Path, row_bytes: int) -> _State:
    """Where to go on; from the start where that is not known for sure."""
    try:
        stored = json.loads(part.with_suffix(".part.json").read_text(encoding="utf-8"))
        state = _State(stored["rows"], stored["kept"], {int(row): reason for row, reason in stored["bad"].items()})
        whole = part.stat().st_size >= state.kept * row_bytes and state.kept + len(state.bad) == state.rows
    except (OSError, ValueError, KeyError, TypeError):
        return _State()
    return state if whole else _State()


def _is_whole(file: Path) -> bool:
    try:
        note = json.loads(_note(file).read_text(encoding="utf-8"))
        return bool(file.stat().st_size == note["num"] * int(np.prod(note["shape"])))
    except (OSError, ValueError, KeyError):
        return False


def _note(file: Path) -> Path:
    return file.with_suffix(".json")


def _mapped(file: Path, shape: Sequence[int]) -> Tensor:
    """The file as a tensor that reads from it; nothing may write to it."""
    if not shape[0]:
        return torch.empty(*shape, dtype=torch.uint8)
    array = np.memmap(file, np.uint8, mode="r").reshape(shape)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot make {folder} for the decoded images ({error.strerror}): give a folder: --cache-dir DIR"
        ) from error


def _check_room(file: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(file.parent).free
    if num_bytes > free:
        raise DataError(
            f"the decoded images take {num_bytes / 2**30:.1f} GiB more, and {file.parent} has {free / 2**30:.1f} GiB "
            "free: name another folder (--cache-dir DIR), or a smaller --size"
        )

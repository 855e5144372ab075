"""Read the images of a run on a custom folder again, with the recorded parts and labels, and verify their content.

A run folder keeps `images.csv` (file, part, label, sha256 of each image) and `images.json` (the report: where the
images were, their size, their value range), so that neither the labels file nor the fraction of validation images has
to be given again.
"""

import csv
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from improved_gan.data.dataset import DataError, Dataset, LabeledImages
from improved_gan.data.decoded_cache import decode_images
from improved_gan.data.download import cache_folder
from improved_gan.data.file_names import NameTable
from improved_gan.data.image_index import ImageIndex, index_images
from improved_gan.data.image_sizes import SIZES
from improved_gan.data.image_sources import open_images
from improved_gan.data.ordered_map import num_cores
from improved_gan.data.value_range import ValueRange, stored_range
from improved_gan.data.wording import shortened

__all__ = ["HEADER", "IMAGES_FILE", "REPORT_FILE", "hashes_of_part", "load_recorded", "read_listing", "recorded_path"]

IMAGES_FILE = "images.csv"
REPORT_FILE = "images.json"
HEADER = ["file", "part", "label", "sha256"]
_PARTS = ("train", "validation", "test", "unused")
_DAMAGED = (ValueError, KeyError, TypeError, RecursionError)  # what a file of JSON that is not ours raises


def load_recorded(images: Path | None, *, run: Path, class_names: Sequence[str]) -> Dataset:
    """The data set that a run was trained on.

    Args:
        images: the folder or archive; None takes the one that the run began with.
        run: the run folder.
        class_names: of the run.

    Raises:
        DataError: nothing was recorded, the images are not there, or some have changed.
    """
    rows, path, size, values = _read(run)
    images = path if images is None else images
    if not os.path.exists(images):  # noqa: PTH110  (no error where the path cannot be one)
        raise DataError(
            f"the images of {run} lay in {shortened(str(images))}, which is not there: name the folder with --data"
        )
    scan = index_images(open_images(images), workers=num_cores())
    positions = _positions(rows, scan, images, run)
    folder = cache_folder() / "decoded"
    decoded = decode_images(scan, channels=3, size=size, folder=folder, workers=num_cores(), values=values)
    if lost := [position for position in positions.tolist() if position in decoded.bad]:
        raise DataError(
            f"{len(lost)} images that {run} was trained on can no longer be decoded (the first, {scan.names[lost[0]]}, "
            f"{decoded.bad[lost[0]]}): was Pillow exchanged? Install the version that reads them"
        )
    # The position of an image of the scan among those that could be decoded.
    decodable = np.setdiff1d(np.arange(len(scan)), np.fromiter(decoded.bad, dtype=np.int64))
    positions = np.searchsorted(decodable, positions)
    labels = _labels(rows, class_names, run)
    parts = np.array([row[1] for row in rows])
    kind = "test" if "test" in parts else "validation"
    training = np.flatnonzero(parts == "train")
    inside = np.arange(training[0], training[-1] + 1)  # validation images may be between them
    evaluated = np.flatnonzero(parts == kind)
    return Dataset(
        name=images.name or "images",
        class_names=tuple(class_names),
        train=LabeledImages(_some(decoded.images, positions[inside]), labels[inside]),
        test=LabeledImages(_some(decoded.images, positions[evaluated]), labels[evaluated]),
        test_kind=kind,
        held_out=tuple((np.setdiff1d(inside, training) - training[0]).tolist()),
        digest=scan.digest(),
        value_range=None if values is None else (values.low, values.high),
    )


def recorded_path(run: Path) -> Path | None:
    """Where the images of a run lay when it began; None where it was trained on something else, or does not say it."""
    try:
        return _report(run)[0]
    except (OSError, *_DAMAGED):
        return None


def read_listing(file: Path) -> list[list[str]]:
    """The rows of an `images.csv`: file, part, label, SHA-256.

    Raises:
        DataError: it cannot be read, or a row is damaged.
    """
    try:
        with file.open(newline="", encoding="utf-8", errors="surrogateescape") as text:
            rows = [row for row in csv.reader(text) if row and row != HEADER]
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{file} cannot be read ({reason}): put a copy of it back, or train the run again") from error
    for row in rows:
        if len(row) != len(HEADER) or row[1] not in _PARTS:
            shown = ",".join(row)[:80].encode(errors="backslashreplace").decode()
            raise DataError(f"{file} is damaged ({shown}): put a copy of it back, or train the run again")
    return rows


def hashes_of_part(run: Path, part: str) -> frozenset[str]:
    """SHA-256 of each image of a run's part ("train", "validation", "test"); none where the run does not say it."""
    try:
        with (run / IMAGES_FILE).open(newline="", encoding="utf-8", errors="surrogateescape") as text:
            return frozenset(row[3] for row in csv.reader(text) if len(row) == len(HEADER) and row[1] == part)
    except (OSError, csv.Error):
        return frozenset()


def _read(run: Path) -> tuple[list[list[str]], Path, int, ValueRange | None]:
    """The rows, where the images lay, the pixels of a side, and the value range."""
    try:
        path, size, values = _report(run)
        if not isinstance(size, int) or size not in SIZES:
            raise ValueError(f"its size is {size!r:.80}")
    except (OSError, *_DAMAGED) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise DataError(f"{run} does not say which images it was trained on ({reason}): train it again") from error
    rows = read_listing(run / IMAGES_FILE)
    if not any(row[1] == "train" for row in rows):
        raise DataError(f"{run / IMAGES_FILE} names no training image: train the run again")
    return rows, path, size, values


def _report(run: Path) -> tuple[Path, object, ValueRange | None]:
    """Path, size and value range of `images.json`."""
    report = json.loads((run / REPORT_FILE).read_text(encoding="utf-8", errors="surrogateescape"))
    path = report["path"]
    if not isinstance(path, str) or "\0" in path or not path:
        raise ValueError(f"its path is {path!r:.80}")
    return Path(path), report.get("size"), stored_range(report.get("value_range"))


def _labels(rows: list[list[str]], class_names: Sequence[str], run: Path) -> Tensor:
    """(N,) classes, -1 for none."""
    codes = {"": -1} | {name: code for code, name in enumerate(class_names)}
    if strange := sorted({row[2] for row in rows} - codes.keys()):
        shown = ", ".join(strange[:3]).encode(errors="backslashreplace").decode()
        raise DataError(
            f"{run / IMAGES_FILE} has labels that are no class of the run ({shown:.80}): put a copy of it back, or "
            "train the run again"
        )
    return torch.tensor([codes[row[2]] for row in rows])


def _positions(rows: list[list[str]], scan: ImageIndex, images: Path, run: Path) -> np.ndarray:
    """(N,) the position of each recorded image in the scan; images added since are ignored."""
    now = defaultdict[str, list[int]](list)  # several entries of an archive may have one name
    for position, name in enumerate(scan.names):
        now[name].append(position)
    names = NameTable(now)
    positions, changed, gone = list[int](), list[str](), list[str]()
    for name, _, _, digest in rows:
        candidates = now[known] if (known := names.find(name)) is not None else []
        same = [position for position in candidates if scan.hashes[position].tobytes().hex() == digest]
        positions += same[:1]
        if not same:
            (changed if candidates else gone).append(name)
    if gone or changed:
        found = ", ".join(
            f"{len(some)} {word} ({shortened(some[0])}{' ...' if len(some) > 1 else ''})"
            for word, some in (("changed", changed), ("gone", gone))
            if some
        )
        raise DataError(
            f"the images in {images} are not those that {run} was trained on: {found}: put them back, or name the "
            "right folder with --data"
        )
    return np.array(positions)


def _some(images: Tensor, positions: np.ndarray) -> Tensor:
    """These images; a view where they are contiguous, so that a mapped file stays on the disk."""
    if len(positions) and (np.diff(positions) == 1).all():
        return images[int(positions[0]) : int(positions[-1]) + 1]
    return images[torch.from_numpy(positions)]

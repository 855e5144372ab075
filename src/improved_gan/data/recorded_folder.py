"""The images of a run on a user's folder, read again as the run has recorded them: same parts, labels and content.

A run folder keeps `images.csv` (file, part, label, sha256 of each image) and `images.json` (the report: where the
images lay, their size, their value range), so that neither the labels file nor the share of validation images has to be
given again.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from improved_gan.data.dataset import DataError, Dataset, LabelledImages
from improved_gan.data.decoded_cache import decode_images
from improved_gan.data.download import cache_folder
from improved_gan.data.image_scan import Scan, scan_images
from improved_gan.data.image_sources import open_images
from improved_gan.data.in_order import num_workers
from improved_gan.data.value_range import ValueRange, stored_range

__all__ = ["HEADER", "IMAGES_FILE", "REPORT_FILE", "hashes_of_part", "load_recorded", "recorded_path"]

IMAGES_FILE = "images.csv"
REPORT_FILE = "images.json"
HEADER = ["file", "part", "label", "sha256"]


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
    if not images.exists():
        raise DataError(f"the images of {run} lay in {images}, which is not there: name the folder with --data")
    scan = scan_images(open_images(images), workers=num_workers())
    places = _places(rows, scan, images, run)
    folder = cache_folder() / "decoded"
    decoded = decode_images(scan, channels=3, size=size, folder=folder, workers=num_workers(), values=values)
    # Where an image of the scan lies among those that could be decoded.
    decodable = np.setdiff1d(np.arange(len(scan)), np.fromiter(decoded.bad, dtype=np.int64))
    places = np.searchsorted(decodable, places)
    codes = {name: code for code, name in enumerate(class_names)}
    labels = torch.tensor([codes.get(row[2], -1) for row in rows])
    parts = np.array([row[1] for row in rows])
    kind = "test" if "test" in parts else "validation"
    training = np.flatnonzero(parts == "train")
    inside = np.arange(training[0], training[-1] + 1)  # validation images may lie between them
    evaluated = np.flatnonzero(parts == kind)
    return Dataset(
        name=images.name or "images",
        class_names=tuple(class_names),
        train=LabelledImages(_some(decoded.images, places[inside]), labels[inside]),
        test=LabelledImages(_some(decoded.images, places[evaluated]), labels[evaluated]),
        test_kind=kind,
        held_out=tuple((np.setdiff1d(inside, training) - training[0]).tolist()),
        digest=scan.digest(),
        value_range=None if values is None else (values.low, values.high),
    )


def recorded_path(run: Path) -> Path | None:
    """Where the images of a run lay when it began; None where it was trained on something else, or does not say it."""
    try:
        return Path(json.loads((run / REPORT_FILE).read_text(encoding="utf-8", errors="surrogateescape"))["path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
        with (run / IMAGES_FILE).open(newline="", encoding="utf-8", errors="surrogateescape") as text:
            rows = [row for row in csv.reader(text) if len(row) == len(HEADER) and row != HEADER]
        report = json.loads((run / REPORT_FILE).read_text(encoding="utf-8", errors="surrogateescape"))
        path, size = Path(report["path"]), int(report["size"])
        values = stored_range(report.get("value_range"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{run} does not say which images it was trained on ({error}): train it again") from error
    if not any(row[1] == "train" for row in rows):
        raise DataError(f"{run / IMAGES_FILE} names no training image: train the run again")
    return rows, path, size, values


def _places(rows: list[list[str]], scan: Scan, images: Path, run: Path) -> np.ndarray:
    """(N,) where each recorded image lies in the scan; images that are new since are passed over."""
    now = {name: place for place, name in enumerate(scan.names)}
    gone = [row[0] for row in rows if row[0] not in now]
    changed = [row[0] for row in rows if row[0] in now and scan.hashes[now[row[0]]].tobytes().hex() != row[3]]
    if gone or changed:
        found = ", ".join(
            f"{len(names)} {word} ({names[0]}{' ...' if len(names) > 1 else ''})"
            for word, names in (("changed", changed), ("gone", gone))
            if names
        )
        raise DataError(
            f"the images in {images} are not those that {run} was trained on: {found}: put them back, or name the "
            "right folder with --data"
        )
    return np.array([now[row[0]] for row in rows])


def _some(images: Tensor, places: np.ndarray) -> Tensor:
    """These images; a view where they lie side by side, so that a mapped file stays on the disk."""
    if len(places) and (np.diff(places) == 1).all():
        return images[int(places[0]) : int(places[-1]) + 1]
    return images[torch.from_numpy(places)]

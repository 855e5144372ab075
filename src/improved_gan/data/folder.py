"""Any folder or archive of images as a data set; labels from class folders, a file, files next to the images.

All files are checked before training: an unusable input raises an error with its remedy, and what is left out or
unusual is a notice in the report. The images become squares of one size (`images.center_crop_resize`).

Validation images are labeled images that training does not use: those of a `val` folder, else a fixed fraction of each
class, chosen by the hash of their content, so that the choice is the same under any name, in any order and for any
seed. An image whose content is also in the training part is never among them. A `test` folder is used where there is
no `val`, for reports only.

"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from improved_gan.data.dataset import DataError, Dataset, LabeledImages
from improved_gan.data.decoded_cache import Decoded, decode_images
from improved_gan.data.embeddings import Embeddings, EmbeddingScaling
from improved_gan.data.folder_labels import Labeling, read_labeling
from improved_gan.data.folder_report import FolderReport, Part
from improved_gan.data.image_index import ImageIndex, index_images
from improved_gan.data.image_sizes import choose_size
from improved_gan.data.image_sources import open_images
from improved_gan.data.label_split import duplicate_ids, split_validation
from improved_gan.data.range_watch import MEASURED, RangeWatch
from improved_gan.data.value_range import ValueRange, WantedRange
from improved_gan.data.value_statistics import percentiles_of, stream_of

__all__ = ["CustomImages", "FolderOptions", "Selection", "load_folder"]


@dataclass(frozen=True)
class Selection:
    """Which of the images that can be used are trained on, and which held out; rows are positions among these."""

    names: list[str]
    hashes: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train_rows: NDArray[np.int64]
    evaluated: NDArray[np.int64]
    kind: str
    notices: list[str]

    @classmethod
    def of(cls, scan: ImageIndex, labeling: Labeling, good: NDArray[np.int64], fraction: float) -> "Selection":
        """Choose.

        Args:
            scan: all images.
            labeling: their labels and parts.
            good: (M,) rows of the scan of the images that can be used.
            fraction: of each class's labeled images that is held out where there is no such part.
        """
        names = [scan.names[row] for row in good]
        hashes = scan.hashes[good]
        labels, parts = labeling.labels[good], np.asarray(labeling.parts)[good]
        labels, conflicts = _without_conflicts(labels, hashes, names)
        evaluated, kind, more = split_validation(labels, parts, hashes, fraction=fraction)
        train_rows = np.setdiff1d(np.flatnonzero(parts == "train"), evaluated)
        return cls(names, hashes, labels, train_rows, evaluated, kind, [*conflicts, *more])


def _without_conflicts(
    labels: NDArray[np.int64], hashes: NDArray[np.uint8], names: Sequence[str]
) -> tuple[NDArray[np.int64], list[str]]:
    """Labels with -1 where the same content has two of them, and a notice."""
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        return labels, []
    _, group = np.unique(hashes[known], axis=0, return_inverse=True)
    group = group.reshape(-1)
    lowest = np.full(group.max() + 1, np.iinfo(np.int64).max)
    highest = np.full(group.max() + 1, -1)
    np.minimum.at(lowest, group, labels[known])
    np.maximum.at(highest, group, labels[known])
    conflicting = known[(lowest != highest)[group]]
    if not len(conflicting):
        return labels, []
    labels = labels.copy()
    labels[conflicting] = -1
    listed = ", ".join(names[row] for row in conflicting[:4]) + (" ..." if len(conflicting) > 4 else "")
    return labels, [
        f"{len(conflicting)} files are copies of each other in different classes ({listed}): their labels are not used"
    ]


_FEWEST = 10  # training images, below which no GAN is worth a start
_WATCHED = 1000  # training images in which gray levels are counted


@dataclass(frozen=True)
class FolderOptions:
    """How a folder is to be read.

    Args:
        images: the folder or archive.
        labels: a labels file, or None for class folders or label files next to the images.
        use_labels: False trains without labels, whatever the folders are called.
        size: pixels of a side, which all images must have; None chooses by the images.
        enlarge_few: whether one of ten images may be smaller than `size`.
        validation: the fraction of each class's labeled images that is held out where there is no `val` folder.
        cache: folder for decoded images.
        workers: threads that read and decode.
        values: which values of the files are black and white, or percentiles of the training images' values; None
            takes those of each file's type.
    """

    images: Path
    cache: Path
    labels: Path | None = None
    use_labels: bool = True
    size: int | None = None
    enlarge_few: bool = False
    validation: float = 0.2
    workers: int = 1
    values: WantedRange | None = None


@dataclass(frozen=True)
class CustomImages:
    """A folder, ready for training.

    Attributes:
        dataset: its images; label -1 where none is known.
        report: what was found, for people.
        rows: for each image its file, part, label ("" for none) and SHA-256, as a run folder keeps them.
        embeddings: of these images, where `dataset` has them in place of images; with their scaling.
    """

    dataset: Dataset
    report: FolderReport
    rows: tuple[tuple[str, str, str, str], ...]
    embeddings: tuple[Embeddings, EmbeddingScaling] | None = None


def load_folder(options: FolderOptions) -> CustomImages:
    """Look at everything, check it, decode it.

    Raises:
        DataError: images or labels that cannot be used; the message says what to do.
    """
    if not 0 <= options.validation < 1:
        raise DataError(f"the fraction of validation images must be at least 0 and below 1; got {options.validation:g}")
    source = open_images(options.images)
    scan = index_images(source, workers=options.workers)
    if not len(scan):
        name, reason = next(iter(scan.bad.items()))
        raise DataError(
            f"none of the {len(source)} images in {options.images} can be read (the first, {name}, {reason})"
        )
    labeling = read_labeling(
        options.images, scan.names, source.names, labels=options.labels, use_labels=options.use_labels
    )
    size, size_notices = choose_size(scan.shorter_sides, options.size, enlarge_few=options.enlarge_few)
    values = _value_range(options, scan, labeling)
    decoded = decode_images(scan, channels=3, size=size, folder=options.cache, workers=options.workers, values=values)
    if len(decoded.bad) == len(scan):
        name, reason = scan.names[0], decoded.bad[0]
        raise DataError(f"none of the {len(scan)} images in {options.images} can be used (the first, {name}, {reason})")
    return _assemble(options, scan, labeling, decoded, size, size_notices, values)


def _value_range(options: FolderOptions, scan: ImageIndex, labeling: Labeling) -> ValueRange | None:
    """The range asked for, percentiles measured."""
    if options.values is None:
        return None
    if not options.values.percentiles:
        return options.values.resolved({})

    def trained_on(bad: Collection[int]) -> list[int]:
        good = np.setdiff1d(np.arange(len(scan)), np.fromiter(bad, dtype=np.int64))
        rows: list[int] = good[Selection.of(scan, labeling, good, options.validation).train_rows].tolist()
        return rows

    measured = percentiles_of(scan, options.values.percentiles, rows=trained_on, workers=options.workers)
    return options.values.resolved(measured)


def _assemble(
    options: FolderOptions,
    scan: ImageIndex,
    labeling: Labeling,
    decoded: Decoded,
    size: int,
    notices: Sequence[str],
    values: ValueRange | None,
) -> CustomImages:
    """Training images, validation images and the report from what was read."""
    good = np.setdiff1d(np.arange(len(scan)), np.fromiter(decoded.bad, dtype=np.int64))
    chosen = Selection.of(scan, labeling, good, options.validation)
    names, hashes, labels, kind = chosen.names, chosen.hashes, chosen.labels, chosen.kind
    train_rows, evaluated = chosen.train_rows, chosen.evaluated
    _check_training(options.images, train_rows, decoded)
    little = _uses_little(scan, decoded, good, train_rows, values)
    first, last = int(train_rows[0]), int(train_rows[-1]) + 1
    inside = np.arange(first, last)
    held_out = np.setdiff1d(inside, train_rows) - first
    shown = np.full(len(names), "unused", dtype=object)
    shown[train_rows], shown[evaluated] = "train", kind

    def part(name: str) -> Part:
        return Part.of(name, labels[shown == name], len(labeling.class_names))

    _check_classes(options.images, labeling, part("train"))
    bad = scan.bad | {scan.names[row]: reason for row, reason in decoded.bad.items()}
    dataset = Dataset(
        name=options.images.name or "images",
        class_names=labeling.class_names,
        train=LabeledImages(decoded.images[first:last], torch.from_numpy(labels[first:last].copy())),
        test=LabeledImages(decoded.images[torch.from_numpy(evaluated)], torch.from_numpy(labels[evaluated])),
        test_kind=kind,
        held_out=tuple(held_out.tolist()),
        digest=scan.digest(),
        value_range=None if values is None else (values.low, values.high),
    )
    report = FolderReport(
        path=options.images,
        layout=labeling.source,
        class_names=labeling.class_names,
        parts=(part("train"), part(kind)),
        num_unused=int((shown == "unused").sum()),
        sizes=scan.sizes,
        num_gray=int((~scan.color).sum()),
        size=size,
        bad=bad,
        num_copies=duplicate_ids(hashes[train_rows]),
        notices=(*scan.notices, *labeling.notices, *notices, *chosen.notices, *little),
        decoded=decoded,
        workers=options.workers,
        values=values,
        wanted_values=options.values,
    )
    return CustomImages(dataset, report, _rows(names, shown, labels, hashes, labeling.class_names))


def _uses_little(
    scan: ImageIndex,
    decoded: Decoded,
    good: NDArray[np.int64],
    train_rows: NDArray[np.int64],
    values: ValueRange | None,
) -> list[str]:
    """A notice where the training images use few gray levels."""
    watch = RangeWatch(values, percentiles=True)
    for row in train_rows[:: -(-len(train_rows) // _WATCHED)].tolist():
        watch.add(decoded.images[row])
    if watch.small and values is None:
        wanted = frozenset(good[train_rows[:MEASURED]].tolist())
        contents = ((name, read()) for row, (name, read) in stream_of(scan) if row in wanted)
        watch.measure(islice(contents, len(wanted)))
    return [warning] if (warning := watch.warning()) is not None else []


def _rows(
    names: Sequence[str],
    shown: NDArray[np.object_],
    labels: NDArray[np.int64],
    hashes: NDArray[np.uint8],
    classes: Sequence[str],
) -> tuple[tuple[str, str, str, str], ...]:
    return tuple(
        (name, str(part), classes[label] if label >= 0 else "", digest.tobytes().hex())
        for name, part, label, digest in zip(names, shown, labels.tolist(), hashes, strict=True)
    )


def _check_training(path: Path, train_rows: NDArray[np.int64], decoded: Decoded) -> None:
    if len(train_rows) < _FEWEST:
        reason = next(iter(decoded.bad.values()), None)
        others = "" if reason is None else f"; {len(decoded.bad)} others cannot be used (the first {reason})"
        raise DataError(
            f"{path} has {len(train_rows)} images to train on, at least {_FEWEST} are needed: add images{others}"
        )


def _check_classes(path: Path, labeling: Labeling, train: Part) -> None:
    empty = [name for name, num in zip(labeling.class_names, train.counts, strict=True) if not num]
    if empty:
        raise DataError(
            f"{path}: no image of {', '.join(empty[:5])} is left to train on (unreadable, or in two classes): "
            "add images or labels of it"
        )

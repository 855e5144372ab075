"""Accuracy of a classification where true classes are known, from class folders or a labels file.

Images that the run was trained on are not counted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from improved_gan.active_learning.image_stream import ImageList
from improved_gan.active_learning.query import rows_of
from improved_gan.data.folder_layout import layout_of
from improved_gan.data.image_sources import is_archive
from improved_gan.data.labels_file import read_labels
from improved_gan.reports.classification import class_scores, confusion, wilson_interval
from improved_gan.training.reporting import say, warn

__all__ = ["Accuracy", "Truth", "measure", "show_accuracy", "truth_of"]

_LEVEL = 0.95
_MOST_CLASSES = 12  # of a matrix on a terminal
_CONFUSIONS = 10


@dataclass(frozen=True)
class Truth:
    """Known classes.

    Attributes:
        source: description of their source.
        classes: class by the image's name, as in a row of predictions.
    """

    source: str
    classes: Mapping[str, str]


@dataclass(frozen=True)
class Accuracy:
    """The result.

    Attributes:
        source: source of the true classes.
        class_names: names of the run's K classes.
        matrix: (K, K) int64, rows are the true class.
        unknown: number of images of classes that the run does not have, by class.
        trained_on: number of training images, which are not counted.
        unlabeled: number of images without a known class.
    """

    source: str
    class_names: tuple[str, ...]
    matrix: Tensor
    unknown: Counter[str]
    trained_on: int
    unlabeled: int

    @property
    def images(self) -> int:
        """Number of counted images."""
        return int(self.matrix.sum())

    @property
    def wrong(self) -> int:
        """Number of misclassified images."""
        return self.images - int(self.matrix.diagonal().sum())

    def as_dict(self) -> dict[str, Any]:
        """For JSON; fractions are None without images."""
        low, high = wilson_interval(self.wrong, self.images, level=_LEVEL) if self.images else (None, None)
        return {
            "labels": self.source,
            "images": self.images,
            "wrong": self.wrong,
            "error": self.wrong / self.images if self.images else None,
            "interval": {"level": _LEVEL, "method": "Wilson", "low": low, "high": high},
            "classes": [self._class(index) for index in range(len(self.class_names))],
            "confusion": self.matrix.tolist(),
            "unknown_classes": dict(sorted(self.unknown.items())),
            "trained_on": self.trained_on,
            "unlabeled": self.unlabeled,
        }

    def _class(self, index: int) -> dict[str, Any]:
        score = class_scores(self.matrix)[index]
        right, given = int(self.matrix[index, index]), int(self.matrix[:, index].sum())
        return {
            "name": self.class_names[index],
            "images": score.images,
            "right": right,
            "recall": score.recall if score.images else None,
            "recall_interval": list(wilson_interval(right, score.images, level=_LEVEL)) if score.images else None,
            "precision": score.precision if given else None,
        }


def truth_of(images: ImageList, class_names: Sequence[str], labels: Path | None) -> Truth | None:
    """The classes of a labels file, else those of class folders; None if there are neither.

    Folders are class folders if one of them has the name of a class of the run; folders of images that were named one
    by one are not used.

    Raises:
        DataError: a labels file that cannot be used.
    """
    if labels is not None:
        found = read_labels(labels, images.labels_names, images.labels_root or Path())
        classes = {file: found[name] for file in images.files() if (name := images.within(file)) in found}
        return Truth(f"labels file {labels}", classes)
    known = {name.strip() for name in class_names}
    by_folder: dict[str, str] = {}
    for prefix, source in (part for part in images.parts if part[1].path.is_dir() or is_archive(part[1].path.name)):
        by_folder |= _of_folders(prefix, source.names, known)
    return Truth("class folders", by_folder) if known & set(by_folder.values()) else None


def _of_folders(prefix: str, names: Sequence[str], known: set[str]) -> dict[str, str]:
    """Class folders as in `train folder`; without these, the innermost folder with the name of a class."""
    folders = layout_of(names).classes
    if any(one is not None for one in folders):
        return {prefix + name: one for name, one in zip(names, folders, strict=True) if one is not None}
    found = {}
    for name in names:
        above = reversed(PurePosixPath(prefix + name).parts[:-1])
        if (one := next((part for part in above if part in known), None)) is not None:
            found[prefix + name] = one
    return found


def measure(predictions: Path, truth: Truth, class_names: Sequence[str], *, trained_on: frozenset[str]) -> Accuracy:
    """Compare a file of predictions with the true classes.

    Args:
        predictions: CSV of `classify`; it is read row by row.
        truth: the true classes.
        class_names: names of the run's classes.
        trained_on: SHA-256 of the images that the run was trained on.
    """
    codes = {name.strip(): code for code, name in enumerate(class_names)}
    true, given, unknown, seen, unlabeled = [], [], Counter[str](), 0, 0
    rows = rows_of(predictions)
    next(rows)  # the header
    for row in rows:
        label = truth.classes.get(row[0])
        if label is None:
            unlabeled += 1
        elif row[-1] in trained_on:
            seen += 1
        elif label not in codes:
            unknown[label] += 1
        else:
            true.append(codes[label])
            given.append(codes[row[1].strip()])
    matrix = confusion(torch.tensor(true, dtype=torch.int64), torch.tensor(given, dtype=torch.int64), len(class_names))
    return Accuracy(truth.source, tuple(class_names), matrix, unknown, seen, unlabeled)


def show_accuracy(found: Accuracy, console: Console) -> None:
    """Print error with interval, confusion matrix, recall of each class, and the images not counted."""
    if found.trained_on:
        warn(console, f"{found.trained_on} images with a known class are training images of this run: not counted")
    if found.unknown:
        listed = ", ".join(f"{name}: {num}" for name, num in sorted(found.unknown.items()))
        warn(
            console, f"{found.unknown.total()} images are of classes that the run does not have: not counted ({listed})"
        )
    if not found.images:
        say(console, f"no error was computed: no counted image has a class of the run ({found.source})")
        return
    low, high = wilson_interval(found.wrong, found.images, level=_LEVEL)
    say(
        console,
        f"error {found.wrong / found.images:.2%}: {found.wrong} of {found.images} images wrong ({found.source}), "
        f"95% interval {low:.2%} to {high:.2%} (Wilson)",
    )
    if found.unlabeled:
        say(console, f"{found.unlabeled} images have no known class and are not counted")
    console.print(_table(found), highlight=False)
    if len(found.class_names) > _MOST_CLASSES and found.wrong:
        say(console, "most frequent confusions, true class -> predicted class: " + _most_frequent(found))


def _table(found: Accuracy) -> Table:
    """A row for each true class; with the confusion matrix if it fits a terminal."""
    table = Table(box=None, pad_edge=False)
    table.add_column("true class")
    small = len(found.class_names) <= _MOST_CLASSES
    for name in found.class_names if small else ():
        table.add_column(Text(f"-> {name}"), justify="right")
    for name in ("images", "recall", "95% interval"):
        table.add_column(name, justify="right")
    for index, name in enumerate(found.class_names):
        row = found.matrix[index].tolist()
        num = sum(row)
        low, high = wilson_interval(row[index], num, level=_LEVEL) if num else (0.0, 1.0)
        fractions = [f"{row[index] / num:.1%}", f"{low:.1%} to {high:.1%}"] if num else ["-", "-"]
        table.add_row(Text(name), *map(str, row if small else ()), str(num), *fractions)
    return table


def _most_frequent(found: Accuracy) -> str:
    off = found.matrix.clone().fill_diagonal_(0)
    counts, cells = off.flatten().sort(descending=True, stable=True)
    names, num = found.class_names, len(found.class_names)
    pairs = zip(counts[:_CONFUSIONS].tolist(), cells[:_CONFUSIONS].tolist(), strict=True)
    return ", ".join(f"{names[cell // num]} -> {names[cell % num]} {count}" for count, cell in pairs if count)

"""The labels of a folder of images, wherever they are: in a labels file, beside the images, or in class folders."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from improved_gan.data.dataset import DataError
from improved_gan.data.folder_layout import Layout, layout_of
from improved_gan.data.labels_file import read_labels
from improved_gan.data.webdataset_labels import labels_beside

__all__ = ["Labelling", "read_labelling"]

_WITHOUT = "to train on pictures alone: --labels 0"
_LISTED = 5


@dataclass(frozen=True)
class Labelling:
    """Which class and which part each image has.

    Attributes:
        source: where the labels came from, in words.
        class_names: in order; none where there are no labels.
        labels: (N,) int64 positions in the class names, -1 for none.
        parts: "train", "validation" or "test" for each image.
        notices: what a user should know.
    """

    source: str
    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    parts: tuple[str, ...]
    notices: tuple[str, ...] = ()


def read_labelling(
    path: Path, names: Sequence[str], all_names: Sequence[str], *, labels: Path | None, use_labels: bool
) -> Labelling:
    """The labels that count: of the labels file, else those beside the images, else the class folders.

    Args:
        path: the folder or archive.
        names: of the images that can be read.
        all_names: of all images: a label for one that cannot be read is no mistake.
        labels: the labels file, or None.
        use_labels: False for no labels at all.

    Raises:
        DataError: labels that contradict themselves or are too few.
    """
    layout = layout_of(names)
    if not use_labels:
        return Labelling("no labels, as asked for", (), np.full(len(names), -1), layout.parts)
    folders = {name: one for name, one in zip(names, layout.classes, strict=True) if one is not None}
    if labels is not None:
        found, source = read_labels(labels, all_names, path), f"labels file {labels}"
        notices = _disagreements(found, folders)
    elif found := labels_beside(path, names):
        source, notices = "labels beside the images", _disagreements(found, folders)
    else:
        found, source, notices = folders, "class folders", ()
        if len(set(folders.values())) == 1 and len(folders) == len(names):
            only = next(iter(folders.values()))
            notice = f"all images lie in one folder, {only}, so there are no classes: training on pictures alone"
            return Labelling("one folder", (), np.full(len(names), -1), layout.parts, (notice,))
    if not found:
        return Labelling("no labels", (), np.full(len(names), -1), layout.parts)
    return _checked(path, source, found, names, layout, notices, from_folders=found is folders)


def _checked(
    path: Path,
    source: str,
    found: dict[str, str],
    names: Sequence[str],
    layout: Layout,
    notices: tuple[str, ...],
    *,
    from_folders: bool,
) -> Labelling:
    train = Counter(
        found[name] for name, part in zip(names, layout.parts, strict=True) if part == "train" and name in found
    )
    others = {found[name] for name, part in zip(names, layout.parts, strict=True) if part != "train" and name in found}
    if len(train) < 2:
        only = f"only one class, {next(iter(train))}" if train else "no labels for training images"
        raise DataError(f"{path} has {only} ({source}): a classifier needs two classes, or {_WITHOUT}")
    if unknown := sorted(others - train.keys()):
        raise DataError(
            f"{path} has classes in its validation or test part that no training image has: {_some(unknown)}"
        )
    few = sorted(name for name, num in train.items() if num < 2)
    if few and from_folders:
        raise DataError(
            f"{len(few)} of {len(train)} class folders in {path} have only one image that can be read "
            f"({_some(few)}): add images, remove these folders, or, {_WITHOUT}"
        )
    if few:
        notices += (f"{len(few)} classes have a single label ({_some(few)}), so none of them is held out",)
    classes = tuple(sorted(train, key=_natural))
    number = {name: place for place, name in enumerate(classes)}
    labels = np.asarray([number[found[name]] if name in found else -1 for name in names], dtype=np.int64)
    return Labelling(source, classes, labels, layout.parts, notices)


def _disagreements(found: dict[str, str], folders: dict[str, str]) -> tuple[str, ...]:
    """Where labels use the folders' names and say something else than the folder."""
    names = set(folders.values())
    wrong = [name for name, label in found.items() if label in names and name in folders and folders[name] != label]
    if not wrong:
        return ()
    listed = _some([f"{name}: {found[name]}" for name in wrong])
    return (f"{len(wrong)} labels disagree with the class folder that the image lies in ({listed}): the labels count",)


def _natural(name: str) -> tuple[int, int, str]:
    """Numbers by size, before words."""
    return (0, int(name), name) if name.isascii() and name.isdigit() else (1, 0, name)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more

"""The labels of a folder of images: of a labels file, of label files next to the images, of class folders.

An image's own label (of the labels file, or of a label file next to it) counts before the name of its folder; where it
has none, its class folder does. Folders are classes if there is no other label, if one of them has the name of a label,
or if there is a folder `unlabeled`; else they are a user's own order (`2024/`, `2025/`) and are ignored.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from improved_gan.data.dataset import DataError
from improved_gan.data.folder_layout import Layout, layout_of
from improved_gan.data.labels_file import read_labels_file
from improved_gan.data.unknown_labels import only_known
from improved_gan.data.webdataset_labels import read_labels_beside
from improved_gan.data.wording import listed

__all__ = ["Labeling", "read_labeling"]

_WITHOUT = "to train without labels: --num-labels 0"


@dataclass(frozen=True)
class Labeling:
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


def read_labeling(
    path: Path, names: Sequence[str], all_names: Sequence[str], *, labels: Path | None, use_labels: bool
) -> Labeling:
    """The labels that count: of the labels file, else of files next to the images; and of the class folders.

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
        return Labeling("no labels, as asked for", (), np.full(len(names), -1), layout.parts)
    folders = {name: one for name, one in zip(names, layout.classes, strict=True) if one is not None}
    own, source, notices = _own_labels(path, names, all_names, labels)
    if own:
        found, source, more = _with_folders(path, own, folders, source, holds_unlabeled=layout.has_unlabeled)
    else:
        if len(set(folders.values())) == 1 and len(folders) == len(names):
            only = next(iter(folders.values()))
            notice = f"all images are in one folder, {only}, so there are no classes: training without labels"
            all_notices = (*notices, notice)
            return Labeling("one folder", (), np.full(len(names), -1), layout.parts, all_notices)
        source = "class folders"
        found, more = only_known(folders, f"{path}, class folders")
    notices += more
    if not found:
        return Labeling("no labels", (), np.full(len(names), -1), layout.parts, notices)
    return _checked(path, source, found, names, layout, notices, from_folders=not own)


def _own_labels(
    path: Path, names: Sequence[str], all_names: Sequence[str], labels: Path | None
) -> tuple[dict[str, str], str, tuple[str, ...]]:
    """The images' own labels: labels, source, notices."""
    if labels is not None:
        own, notices = read_labels_file(labels, all_names, path)
        return own, f"labels file {labels}", notices
    own, notices = read_labels_beside(path, names)
    return own, "labels beside the images", notices


def _checked(
    path: Path,
    source: str,
    found: dict[str, str],
    names: Sequence[str],
    layout: Layout,
    notices: tuple[str, ...],
    *,
    from_folders: bool,
) -> Labeling:
    train = Counter(
        found[name] for name, part in zip(names, layout.parts, strict=True) if part == "train" and name in found
    )
    others = {found[name] for name, part in zip(names, layout.parts, strict=True) if part != "train" and name in found}
    if len(train) < 2:
        only = f"only one class, {next(iter(train))}" if train else "no labels for training images"
        raise DataError(
            f"{path} has {only} ({source}; -1 and empty labels mean that none is known): a classifier needs two "
            f"classes, or {_WITHOUT}"
        )
    if unknown := sorted(others - train.keys()):
        raise DataError(
            f"{path} has classes in its validation or test part that no training image has: {listed(unknown)}"
        )
    few = sorted(name for name, num in train.items() if num < 2)
    if few and from_folders:
        raise DataError(
            f"{len(few)} of {len(train)} class folders in {path} have only one image that can be read "
            f"({listed(few)}): add images, remove these folders, or, {_WITHOUT}"
        )
    if few:
        notices += (f"{len(few)} classes have a single label ({listed(few)}), so none of them is held out",)
    classes = tuple(sorted(train, key=_natural))
    spellings = Counter(name.casefold() for name in classes)
    if similar := [name for name in classes if spellings[name.casefold()] > 1]:
        notices += (f"classes that differ only in capitals are kept as different classes: {listed(similar)}",)
    number = {name: code for code, name in enumerate(classes)}
    labels = np.asarray([number[found[name]] if name in found else -1 for name in names], dtype=np.int64)
    return Labeling(source, classes, labels, layout.parts, notices)


def _with_folders(
    path: Path, own: dict[str, str], folders: dict[str, str], source: str, *, holds_unlabeled: bool
) -> tuple[dict[str, str], str, tuple[str, ...]]:
    """The images' own labels on top of those of their class folders: labels, source, notices."""
    classes, rest = set(folders.values()), folders.keys() - own.keys()
    if not (holds_unlabeled or classes & set(own.values())):
        if not rest:
            return own, source, ()
        named = listed(sorted(classes))
        notice = (
            f"{len(rest)} images are in folders that are not taken for classes, as no label has their name ({named})"
        )
        return own, source, (notice,)
    folders, notices = only_known(folders, f"{path}, class folders")
    wrong = [name for name, label in own.items() if folders.get(name, label) != label]
    if wrong:
        raise DataError(
            f"{len(wrong)} labels disagree with the class folder of the image "
            f"({listed([f'{name}: {own[name]}' for name in wrong])}): move these images "
            "to the folder of their class, or correct or take out their labels"
        )
    return folders | own, f"{source} and class folders" if rest else source, notices


def _natural(name: str) -> tuple[int, int, str]:
    """Numbers by size, before words."""
    return (0, int(name), name) if name.isascii() and name.isdigit() else (1, 0, name)

"""The labels of a folder of images: of a labels file, of label files next to the images, of class folders.

An image's own label (of the labels file, or of a label file next to it) counts before the name of its folder; where it
has none, its class folder does. Folders are classes if there is no other label, if one of them has the name of a label,
or if there is a folder `unlabeled`; else they are a user's own order (`2024/`, `2025/`) and are ignored.

Label files have the name of their image, as in WebDataset shards: 0001.jpg, 0001.cls (.json, .txt). `.cls` holds the
class, `.json` has it under "label", "cls", "class" or "class_name", `.txt` holds its name, unless the texts are
captions (longer than 100 characters, or nearly as many different ones as images). The file of `a.1.jpg` is `a.1.cls`;
where no image is called so, WebDataset's rule counts: what has the same name up to its first point.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from improved_gan.data.dataset import DataError
from improved_gan.data.file_names import NameTable, stem_of
from improved_gan.data.folder_layout import Layout, layout_of
from improved_gan.data.image_sources import open_files
from improved_gan.data.labels_file import read_labels_file
from improved_gan.data.unknown_labels import is_unknown, only_known
from improved_gan.data.wording import counted, listed

__all__ = ["Labeling", "read_labeling", "read_labels_beside"]


_SUFFIXES = (".cls", ".json", ".txt")  # the first that gives a label counts
_JSON_KEYS = ("label", "cls", "class", "class_name")
_LONGEST_NAME = 100


def read_labels_beside(path: Path, names: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The labels that files beside the images give them.

    Args:
        path: the folder or archive of images.
        names: of the images.

    Returns:
        Class by name of the image, for those that have one, and notices of what was left out.

    Raises:
        DataError: a damaged archive, a `.cls` or `.json` beside an image that cannot be read, two labels of one kind
            for an image, or a label that may be a class or mean that none is known.
    """
    samples, unused = _Samples(names), _Unused()
    by_suffix: dict[str, dict[str, str]] = {suffix: {} for suffix in _SUFFIXES}
    for name, read in open_files(path, lambda one: PurePosixPath(one).suffix.lower() in _SUFFIXES):
        images, suffix = samples.of(name), PurePosixPath(name).suffix.lower()
        if not images and suffix == ".cls":
            unused.without_image.append(name)
        if images and (label := _label(read(), suffix, f"{path}: {name}", unused)) is not None:
            for image in images:
                if by_suffix[suffix].setdefault(image, label) != label:
                    raise DataError(f"{path}: {image} has two labels beside it ({name} is one): keep one file for it")
    if _are_captions(by_suffix[".txt"]):
        by_suffix[".txt"] = {}
    labels: dict[str, str] = {}
    for suffix in reversed(_SUFFIXES):
        labels |= {image: one for image, one in by_suffix[suffix].items() if image not in labels or not is_unknown(one)}
    found, notices = only_known(labels, f"{path}, labels beside the images")
    return found, (*notices, *unused.notices())


class _Samples:
    """Which images a file beside them is about."""

    def __init__(self, names: Sequence[str]) -> None:
        self._by_stem, self._by_key = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for name in names:
            self._by_stem[stem_of(name)].append(name)
            self._by_key[_key(name)].append(name)
        self._stems, self._keys = NameTable(self._by_stem), NameTable(self._by_key)

    def of(self, name: str) -> list[str]:
        """Images of the same name; else those of the sample, whose name ends at the first point."""
        stem = stem_of(name)
        if (found := self._stems.find(stem)) is not None:
            return self._by_stem[found]
        if (found := self._keys.find(stem)) is not None:
            return self._by_key[found]
        found = self._stems.find(_key(name))
        return [] if found is None else self._by_stem[found]


class _Unused:
    """Files next to the images that give no label."""

    def __init__(self) -> None:
        self.without_image: list[str] = []
        self.no_class: list[str] = []

    def notices(self) -> tuple[str, ...]:
        found = []
        if self.without_image:
            found.append(
                f"{counted(len(self.without_image), '.cls file')} without an image: {listed(self.without_image)}"
            )
        if self.no_class:
            num = counted(len(self.no_class), ".json label")
            found.append(f"{num} not used, neither text nor a whole number: {listed(self.no_class)}")
        return tuple(found)


def _key(name: str) -> str:
    """The common part of the names of one WebDataset sample: the folder, and the name up to its first point."""
    path = PurePosixPath(name)
    return str(path.parent / path.name.split(".", 1)[0])


def _label(content: bytes, suffix: str, name: str, unused: _Unused) -> str | None:
    try:
        text = content.decode("utf-8-sig").strip()
        if suffix != ".json":
            return text or None
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        if suffix == ".txt":
            return None
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise DataError(f"{name} cannot be read as a label ({reason}): repair or remove it") from error
    if isinstance(fields, list):
        return None  # what is in the image, say
    given = (fields.get(key) for key in _JSON_KEYS) if isinstance(fields, dict) else iter([fields])
    label = next((one for one in given if one is not None), None)
    text_or_none = _as_text(label)
    if label is not None and text_or_none is None:
        unused.no_class.append(name)
    return text_or_none


def _as_text(label: object) -> str | None:
    """A JSON value as the name of a class; None for what is no class."""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and (label.is_integer() or label != label):
        return "NaN" if label != label else str(int(label))
    return str(label) if isinstance(label, (str, int)) else None


def _are_captions(texts: dict[str, str]) -> bool:
    different = set(texts.values())
    return len(different) > max(1, len(texts) // 2) or any(len(one) > _LONGEST_NAME or "\n" in one for one in different)


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

"""The part of the data and the class of an image, derived from its path.

    cat/1.jpg                       class cat              (training)
    unlabeled/1.jpg, 1.jpg         no class               (training)
    train/cat/1.jpg                 class cat              (training)
    val/cat/1.jpg, test/cat/1.jpg   class cat              (validation, test)

A folder that holds everything else is passed over (`photos/cat/1.jpg`), and so are the names of archives. `train`
next to folders of other names is a part only if it holds folders itself: `bus/1.jpg`, `train/2.jpg` are two classes.
Spaces around the name of a class folder do not count, as they do not in a labels file, and accents are composed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from improved_gan.data.image_sources import is_archive
from improved_gan.data.unknown_labels import plain_label

__all__ = ["PARTS", "Layout", "layout_of"]

PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_UNLABELED = frozenset({"unlabelled", "unlabeled", "unlabelled_images", "unlabeled_images"})


@dataclass(frozen=True)
class Layout:
    """Where each image belongs.

    Attributes:
        parts: "train", "validation" or "test" for each image.
        classes: the class folder of each image, or None.
        has_unlabeled: whether a folder `unlabeled` is there, which makes the folders next to it classes.
    """

    parts: tuple[str, ...]
    classes: tuple[str | None, ...]
    has_unlabeled: bool = False


def layout_of(names: Sequence[str]) -> Layout:
    """Read parts and classes off the folders of the images.

    Args:
        names: of the images, relative to the folder or archive, with slashes.

    >>> layout_of(["train/cat/1.jpg", "train/unlabeled/2.jpg", "val/dog/3.jpg"])
    Layout(parts=('train', 'train', 'validation'), classes=('cat', None, 'dog'), has_unlabeled=True)
    """
    folders = [tuple(part for part in PurePosixPath(name).parts[:-1] if not is_archive(part)) for name in names]
    depth = _wrapping(folders)
    folders = [folder[depth:] for folder in folders]
    has_parts = _has_parts(folders)
    parts, classes, has_unlabeled = [], list[str | None](), False
    for folder in folders:
        part = PARTS.get(folder[0].lower(), "train") if folder and has_parts else "train"
        inside = folder[1:] if folder and has_parts and folder[0].lower() in PARTS else folder
        parts.append(part)
        name = plain_label(inside[0]) if inside else ""
        is_class = bool(name) and name.lower() not in _UNLABELED
        has_unlabeled = has_unlabeled or name.lower() in _UNLABELED
        classes.append(name if is_class else None)
    return Layout(tuple(parts), tuple(classes), has_unlabeled)


def _has_parts(folders: Sequence[tuple[str, ...]]) -> bool:
    """Whether `train` names the part an image belongs to; else it is a class like any other (of vehicles, say)."""
    names = {folder[0].lower() for folder in folders if folder}
    train = names & {"train", "training"}
    if not train or names <= PARTS.keys() | _UNLABELED:
        return bool(train)
    return any(len(folder) > 1 and folder[0].lower() in train for folder in folders)


def _wrapping(folders: Sequence[tuple[str, ...]]) -> int:
    """How many folders, from the top, hold everything and further folders: they say nothing."""
    depth = 0
    while folders and all(len(folder) > depth for folder in folders):
        here = {folder[depth] for folder in folders}
        if len(here) > 1 or here <= PARTS.keys() or not any(len(folder) > depth + 1 for folder in folders):
            break
        depth += 1
    return depth

"""Labels that lie beside the images under the same name, as in WebDataset shards: 0001.jpg and 0001.cls, .json or .txt.

`.cls` holds the class, `.json` has it under "label", "cls", "class" or "class_name", `.txt` holds its name, unless the
texts are captions (longer than 100 characters, or nearly as many different ones as images).
"""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from improved_gan.data.dataset import DataError
from improved_gan.data.image_sources import open_files

__all__ = ["labels_beside"]

_SUFFIXES = (".cls", ".json", ".txt")  # the first that gives a label counts
_JSON_KEYS = ("label", "cls", "class", "class_name")
_LONGEST_NAME = 100


def labels_beside(path: Path, names: Sequence[str]) -> dict[str, str]:
    """The labels that files beside the images give them.

    Args:
        path: the folder or archive of images.
        names: of the images.

    Returns:
        Class by name of the image, for those that have one.

    Raises:
        DataError: a damaged archive, or a `.cls` or `.json` beside an image that cannot be read.
    """
    images = {_key(name): name for name in names}
    by_suffix: dict[str, dict[str, str]] = {suffix: {} for suffix in _SUFFIXES}
    for name, read in open_files(path, lambda one: PurePosixPath(one).suffix.lower() in _SUFFIXES):
        image = images.get(_key(name))
        suffix = PurePosixPath(name).suffix.lower()
        if image is not None and (label := _label(read(), suffix, f"{path}: {name}")) is not None:
            by_suffix[suffix][image] = label
    if _are_captions(by_suffix[".txt"]):
        by_suffix[".txt"] = {}
    found: dict[str, str] = {}
    for suffix in reversed(_SUFFIXES):
        found |= by_suffix[suffix]
    return found


def _key(name: str) -> str:
    """What the files of one sample share: the folder, and the name up to its first point."""
    path = PurePosixPath(name)
    return str(path.parent / path.name.split(".", 1)[0])


def _label(content: bytes, suffix: str, name: str) -> str | None:
    try:
        text = content.decode("utf-8-sig").strip()
        if suffix != ".json":
            return text or None
        fields = json.loads(text)
    except ValueError as error:
        if suffix == ".txt":
            return None
        raise DataError(f"{name} cannot be read as a label ({error}): mend or remove it") from error
    label = next((fields[key] for key in _JSON_KEYS if key in fields), None) if isinstance(fields, dict) else fields
    return str(label) if isinstance(label, (str, int)) and not isinstance(label, bool) else None


def _are_captions(texts: dict[str, str]) -> bool:
    different = set(texts.values())
    return len(different) > max(1, len(texts) // 2) or any(len(one) > _LONGEST_NAME or "\n" in one for one in different)

"""Labels in files next to the images, of the same name, as in WebDataset shards: 0001.jpg, 0001.cls (.json, .txt).

`.cls` holds the class, `.json` has it under "label", "cls", "class" or "class_name", `.txt` holds its name, unless the
texts are captions (longer than 100 characters, or nearly as many different ones as images). The file of `a.1.jpg` is
`a.1.cls`; where no image is called so, WebDataset's rule counts: what has the same name up to its first point.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from improved_gan.data.dataset import DataError
from improved_gan.data.file_names import NameTable, stem_of
from improved_gan.data.image_sources import open_files
from improved_gan.data.unknown_labels import is_unknown, only_known
from improved_gan.data.wording import counted, listed

__all__ = ["labels_beside", "read_labels_beside"]

_SUFFIXES = (".cls", ".json", ".txt")  # the first that gives a label counts
_JSON_KEYS = ("label", "cls", "class", "class_name")
_LONGEST_NAME = 100


def labels_beside(path: Path, names: Sequence[str]) -> dict[str, str]:
    """The labels of `read_labels_beside`, without its notices."""
    return read_labels_beside(path, names)[0]


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
        raise DataError(f"{name} cannot be read as a label ({reason}): mend or remove it") from error
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

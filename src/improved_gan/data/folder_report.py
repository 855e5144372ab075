"""A report of the contents of a folder of images: a few lines of text, and JSON for the run folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from improved_gan.data.decoded_cache import Decoded
from improved_gan.data.value_range import ValueRange, WantedRange

__all__ = ["FolderReport", "Part"]

_LISTED = 10  # bad files that are named
_CLASSES = 20  # classes that are listed one by one


@dataclass(frozen=True)
class Part:
    """One part of the data: how many images of each class, and how many without."""

    name: str
    counts: tuple[int, ...]
    num_unlabeled: int

    @classmethod
    def of(cls, name: str, labels: NDArray[np.int64], num_classes: int) -> "Part":
        """Count the labels of a part.

        >>> Part.of("train", np.array([0, 1, 1, -1]), 2)
        Part(name='train', counts=(1, 2), num_unlabeled=1)
        """
        counts = np.bincount(labels[labels >= 0], minlength=num_classes)
        return cls(name, tuple(counts.tolist()), int((labels < 0).sum()))

    @property
    def num(self) -> int:
        """All its images."""
        return sum(self.counts) + self.num_unlabeled


@dataclass(frozen=True)
class FolderReport:
    """What was found.

    Attributes:
        path: the folder or archive.
        layout: where the labels came from.
        class_names: of the K classes.
        parts: training images and those that the run is evaluated on.
        num_unused: images of a part that is not used.
        sizes: (N, 2) width and height of each image.
        num_gray: how many are grayscale.
        size: pixels of a side that they are trained on.
        bad: why each file that cannot be used was left out.
        num_copies: training images that are copies of others.
        notices: what a user should know.
        decoded: what was decoded, and where it is stored.
        workers: threads that decoded.
        values: black and white in the values of the files, or None: those of the file type.
        wanted_values: the same as it was asked for, with percentiles.
    """

    path: Path
    layout: str
    class_names: tuple[str, ...]
    parts: tuple[Part, Part]
    num_unused: int
    sizes: NDArray[np.int64]
    num_gray: int
    size: int
    bad: dict[str, str]
    num_copies: int
    notices: tuple[str, ...]
    decoded: Decoded
    workers: int
    values: ValueRange | None = None
    wanted_values: WantedRange | None = None

    def lines(self) -> Iterator[str]:
        """The lines that are printed before training."""
        train, other = self.parts
        yield f"{self.path}: {len(self.sizes)} images, {self._sizes()}, {self.num_gray} of them grayscale"
        yield (
            f"each is trained on as the central square of the image, scaled to {self.size}x{self.size}, in color "
            f"({self._decoding()})"
        )
        if self.values is not None:
            measured = self.wanted_values is not None and self.wanted_values.percentiles
            how = f" ({self.wanted_values} of the training images' values)" if measured else ""
            yield f"values from {self.values.low:g} (black) to {self.values.high:g} (white){how} become 0 to 255"
        if self.class_names:
            yield f"{len(self.class_names)} classes from {self.layout}: {self._classes(train)}"
            yield (
                f"{sum(train.counts)} labeled and {train.num_unlabeled} unlabeled training images, "
                f"{other.num} {other.name} images, which training does not use"
            )
        else:
            yield f"{self.layout}: {train.num} training images without classes"
        if self.num_unused:
            yield f"{self.num_unused} images are outside train and {other.name}, or are copies there, and are not used"

    def warnings(self) -> Iterator[str]:
        """What is odd or was left out."""
        yield from self.notices
        if self.num_copies:
            yield f"{self.num_copies} training images are copies of others, byte for byte"
        if self.bad:
            listed = "; ".join(f"{name} {reason}" for name, reason in list(self.bad.items())[:_LISTED])
            more = f"; and {len(self.bad) - _LISTED} more" if len(self.bad) > _LISTED else ""
            yield f"{len(self.bad)} files cannot be used and are left out: {listed}{more}"

    def as_dict(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "path": str(self.path.absolute()),
            "layout": self.layout,
            "size": self.size,
            "value_range": None if self.values is None else [self.values.low, self.values.high],
            "class_names": list(self.class_names),
            "parts": {part.name: {"counts": list(part.counts), "unlabeled": part.num_unlabeled} for part in self.parts},
            "unused": self.num_unused,
            "smallest": self.sizes.min(0, initial=2**31).tolist(),
            "largest": self.sizes.max(0, initial=0).tolist(),
            "grayscale": self.num_gray,
            "copies": self.num_copies,
            "bad": self.bad,
            "notices": list(self.notices),
        }

    def _sizes(self) -> str:
        shorter = np.sort(self.sizes.min(1))
        if shorter[0] == self.sizes.max():
            return f"all {shorter[0]}x{shorter[0]} pixels"
        width, height = np.median(self.sizes, 0).astype(int)
        return f"{width}x{height} pixels in the middle, shorter side {shorter[0]} to {shorter[-1]}"

    def _decoding(self) -> str:
        location = "in memory" if self.decoded.file is None else f"in {self.decoded.file}"
        if not self.decoded.made:
            return f"found decoded {location}"
        rate = self.decoded.made / max(self.decoded.seconds, 1e-9)
        return f"{self.decoded.made} decoded at {rate:.0f} images/s with {self.workers} workers, {location}"

    def _classes(self, train: Part) -> str:
        pairs = [f"{name} {count}" for name, count in zip(self.class_names, train.counts, strict=True)]
        if len(pairs) <= _CLASSES:
            return ", ".join(pairs)
        return f"{', '.join(pairs[:_CLASSES])} ... ({min(train.counts)} to {max(train.counts)} labeled images a class)"

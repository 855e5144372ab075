"""Which images of a folder are trained on and which are held out, once it is known which can be used."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from improved_gan.data.folder_labels import Labeling
from improved_gan.data.image_index import ImageIndex
from improved_gan.data.validation import split_validation

__all__ = ["Selection"]


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

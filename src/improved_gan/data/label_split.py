"""The split into labeled and unlabeled images; as an object, so that no label beyond the budget can be used.

n labels, the same number for each class, are drawn once from the training set; or all known ones are used, or none.
Label -1 means that none is known. Images that are held out (for validation) are in no part of a split. The split is
saved with a run as seed, indices and hash (`as_dict`); a run folder with another split is refused.

Validation images (`validation_rows`) are labeled, never trained on, and no copies of what is trained on.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from improved_gan.data.dataset import DataError

__all__ = ["MOST_VALIDATION", "LabelSplit", "duplicate_ids", "split_validation"]


@dataclass(frozen=True)
class LabelSplit:
    """The labeled part of a training set.

    Args:
        seed: the seed that drew it.
        indices: positions in the training set of the labeled images, ordered by class.
        labels: their classes.
        num_images: size of the training set.
        include_labeled: whether the labeled images are among the unlabeled ones too, as in the released scripts.
        held_out: positions, in ascending order, of images that training must not use.
    """

    seed: int
    indices: tuple[int, ...]
    labels: tuple[int, ...]
    num_images: int
    include_labeled: bool = True
    held_out: tuple[int, ...] = ()

    @classmethod
    def draw(
        cls,
        labels: Tensor,
        num_labels: int,
        *,
        seed: int,
        include_labeled: bool = True,
        held_out: Iterable[int] = (),
    ) -> "LabelSplit":
        """Draw `num_labels` labeled images, balanced over the classes that occur.

        Args:
            labels: (N,) int64 classes of the training set, 0..K-1, or -1 where none is known.
            num_labels: the budget, a multiple of the number of classes.
            seed: the same seed draws the same split.
            include_labeled: see above.
            held_out: see above; these are not drawn.

        Raises:
            DataError: the budget is not a positive multiple of K, or a class has fewer images than that.

        Source: paper, section 6.1 (balanced, ten random subsets).

        >>> LabelSplit.draw(torch.tensor([0, 1, 0, 1]), 2, seed=1).labels
        (0, 1)
        """
        held_out = tuple(sorted(held_out))
        drawable = _without(labels, held_out)
        classes = np.unique(drawable[drawable >= 0].numpy()).tolist()
        if not classes:
            raise DataError(f"{num_labels} labels are requested, and no image has one")
        if num_labels < len(classes) or num_labels % len(classes):
            raise DataError(
                f"{num_labels} labels cannot be divided evenly among {len(classes)} classes: "
                f"take a multiple of {len(classes)}, such as {max(1, round(num_labels / len(classes))) * len(classes)}"
            )
        each = num_labels // len(classes)
        order = torch.from_numpy(np.random.RandomState(seed).permutation(len(labels)))
        chosen: list[int] = []
        for one in classes:
            members = order[drawable[order] == one]
            if len(members) < each:
                raise DataError(
                    f"{num_labels} labels are {each} a class, but class {one} has only {len(members)} images: "
                    f"take at most {_fewest(drawable) * len(classes)} labels"
                )
            chosen += members[:each].tolist()
        chosen_labels = tuple(labels[chosen].tolist())
        return cls(seed, tuple(chosen), chosen_labels, len(labels), include_labeled, held_out)

    @classmethod
    def as_given(
        cls, labels: Tensor, *, seed: int = 0, include_labeled: bool = True, held_out: Iterable[int] = ()
    ) -> "LabelSplit":
        """All labels that are known, however many each class has.

        Args:
            labels: (N,) int64, -1 where none is known.
            seed: is only noted.
            include_labeled: see above.
            held_out: see above.

        >>> LabelSplit.as_given(torch.tensor([1, -1, 0, 1]), held_out=[3])
        LabelSplit(seed=0, indices=(2, 0), labels=(0, 1), num_images=4, include_labeled=True, held_out=(3,))
        """
        held_out = tuple(sorted(held_out))
        known = _without(labels, held_out)
        order = torch.argsort(known, stable=True)
        order = order[known[order] >= 0]
        chosen = tuple(order.tolist())
        return cls(seed, chosen, tuple(labels[order].tolist()), len(labels), include_labeled, held_out)

    @classmethod
    def none(cls, num_images: int, *, seed: int = 0, held_out: Iterable[int] = ()) -> "LabelSplit":
        """No labels at all: every image but those held out is unlabeled.

        >>> LabelSplit.none(3).unlabeled_indices()
        tensor([0, 1, 2])
        """
        return cls(seed, (), (), num_images, True, tuple(sorted(held_out)))

    @property
    def digest(self) -> str:
        """SHA-256 over all fields of the split: two splits are equal if and only if their digests are."""
        text = f"{self.num_images}|{self.include_labeled}|{self.indices}|{self.labels}"
        text += f"|{self.held_out}" if self.held_out else ""  # splits of earlier versions keep their hash
        return hashlib.sha256(text.encode()).hexdigest()

    def unlabeled_indices(self) -> Tensor:
        """(M,) positions of the images that the discriminator uses without label."""
        left_out = self.held_out if self.include_labeled else (*self.held_out, *self.indices)
        return _remaining(self.num_images, left_out)

    def training_indices(self) -> Tensor:
        """(M,) positions of the images that training uses, with label or without."""
        return _remaining(self.num_images, self.held_out)

    def as_dict(self) -> dict[str, object]:
        """What a run folder stores."""
        return {
            "seed": self.seed,
            "num_labels": len(self.indices),
            "include_labeled": self.include_labeled,
            "num_images": self.num_images,
            "indices": list(self.indices),
            "labels": list(self.labels),
            "sha256": self.digest,
        } | ({"held_out": list(self.held_out)} if self.held_out else {})


def _without(labels: Tensor, held_out: tuple[int, ...]) -> Tensor:
    """The labels with -1 for the images held out."""
    if not held_out:
        return labels
    labels = labels.clone()
    labels[list(held_out)] = -1
    return labels


def _remaining(num_images: int, left_out: tuple[int, ...]) -> Tensor:
    if not left_out:
        return torch.arange(num_images)
    keep = torch.ones(num_images, dtype=torch.bool)
    keep[list(left_out)] = False
    return keep.nonzero().flatten()


def _fewest(labels: Tensor) -> int:
    """Images of the class with the fewest."""
    counts = torch.bincount(labels[labels >= 0])
    return int(counts[counts > 0].min())


MOST_VALIDATION = 10_000  # images that are evaluated at most


def split_validation(
    labels: NDArray[np.int64], parts: NDArray[np.str_], hashes: NDArray[np.uint8], *, fraction: float
) -> tuple[NDArray[np.int64], str, list[str]]:
    """Rows to validate on: the `validation` part, else the `test` part, else a fraction of each class.

    At most MOST_VALIDATION: they are kept in memory, by every process.

    Args:
        labels: (N,) classes, -1 for none.
        parts: (N,) "train", "validation" or "test".
        hashes: (N, 32) of the images' content.
        fraction: of each class's labeled training images, rounded down; used where there is no such part.

    Returns:
        The rows in ascending order, what they are ("validation" or "test"), and notices.
    """
    keys = [one.tobytes() for one in hashes]
    train = np.flatnonzero(parts == "train")
    trained = {keys[row] for row in train}
    for kind in ("validation", "test"):
        rows = np.flatnonzero((parts == kind) & (labels >= 0))
        if len(rows):
            fresh = np.asarray([row for row in rows if keys[row] not in trained], dtype=np.int64)
            chosen = np.array(
                sorted(sorted(fresh.tolist(), key=lambda row: keys[row])[:MOST_VALIDATION]), dtype=np.int64
            )
            return chosen, kind, _notices_of_given(kind, len(rows), len(fresh), len(chosen))
    rows = _held_out(labels, train, keys, fraction)
    return rows, "validation", _notices_of_held_out(labels[train], labels[rows], fraction)


def duplicate_ids(hashes: NDArray[np.uint8]) -> int:
    """How many images are copies of earlier ones.

    >>> duplicate_ids(np.array([[1, 2], [1, 2], [3, 4]], dtype=np.uint8))
    1
    """
    return len(hashes) - len({one.tobytes() for one in hashes})


def _held_out(
    labels: NDArray[np.int64], train: NDArray[np.int64], keys: list[bytes], fraction: float
) -> NDArray[np.int64]:
    """Of each class those with the lowest hashes; content that occurs twice in the training part stays there."""
    times = Counter(keys[row] for row in train)
    labeled = train[labels[train] >= 0]
    fraction = min(fraction, MOST_VALIDATION / max(1, len(labeled)))
    chosen: list[int] = []
    for one in np.unique(labels[labeled]):
        members = labeled[labels[labeled] == one]
        single = sorted((row for row in members.tolist() if times[keys[row]] == 1), key=lambda row: keys[row])
        chosen += single[: int(fraction * len(members) + 1e-9)]  # 0.29 * 100 is 28.999...
    return np.asarray(sorted(chosen), dtype=np.int64)


def _notices_of_given(kind: str, num: int, num_fresh: int, num_chosen: int) -> list[str]:
    notices = []
    if num_fresh < num:
        known = f"{num - num_fresh} {kind} images have the same content as training images"
        notices.append(f"{known} and are left out of the {kind}")
    if num_chosen < num_fresh:
        notices.append(f"of {num_fresh} {kind} images the {num_chosen} with the lowest hash of their content are used")
    return notices


def _notices_of_held_out(labels: NDArray[np.int64], chosen: NDArray[np.int64], fraction: float) -> list[str]:
    num = int((labels >= 0).sum())
    if not num or len(chosen):
        return []
    return [f"no image is held out for validation: {fraction:.0%} of each class are less than one image"]

"""Which images have labels: an object, so that no label beyond the budget can leak in.

n labels, the same number for each class, are drawn once from the training set; or all known ones are used, or none.
Label -1 means that none is known. Images that are held out (for validation) are in no part of a split. The split is
saved with a run as seed, indices and hash (`as_dict`); a run folder with another split is refused.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from improved_gan.data.dataset import DataError

__all__ = ["LabelSplit"]


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
            raise DataError(f"{num_labels} labels are asked for, and no image has one")
        if num_labels < len(classes) or num_labels % len(classes):
            raise DataError(
                f"{num_labels} labels cannot be shared evenly by {len(classes)} classes: "
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

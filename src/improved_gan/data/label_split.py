"""Which images have labels: an object, so that no label beyond the budget can leak in.

n labels, the same number for each class, are drawn once from the training set. The split is saved with a run as seed,
indices and hash (`as_dict`); a run folder with another split is refused.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from improved_gan.data.dataset import DataError

__all__ = ["LabelSplit"]


@dataclass(frozen=True)
class LabelSplit:
    """The labelled part of a training set.

    Args:
        seed: the seed that drew it.
        indices: positions in the training set of the labelled images, ordered by class.
        labels: their classes.
        num_images: size of the training set.
        include_labelled: whether the labelled images are among the unlabelled ones too, as in the released scripts.
    """

    seed: int
    indices: tuple[int, ...]
    labels: tuple[int, ...]
    num_images: int
    include_labelled: bool = True

    @classmethod
    def draw(cls, labels: Tensor, num_labels: int, *, seed: int, include_labelled: bool = True) -> "LabelSplit":
        """Draw `num_labels` labelled images, balanced over the classes that occur.

        Args:
            labels: (N,) int64 classes of the training set, 0..K-1.
            num_labels: the budget, a multiple of the number of classes.
            seed: the same seed draws the same split.
            include_labelled: see above.

        Raises:
            DataError: the budget is not a positive multiple of K, or a class has fewer images than that.

        Source: paper, section 6.1 (balanced, ten random subsets).

        >>> LabelSplit.draw(torch.tensor([0, 1, 0, 1]), 2, seed=1).labels
        (0, 1)
        """
        classes = np.unique(labels.numpy()).tolist()
        if num_labels < len(classes) or num_labels % len(classes):
            raise DataError(
                f"{num_labels} labels cannot be shared evenly by {len(classes)} classes: "
                f"take a multiple of {len(classes)}, such as {max(1, round(num_labels / len(classes))) * len(classes)}"
            )
        each = num_labels // len(classes)
        order = torch.from_numpy(np.random.RandomState(seed).permutation(len(labels)))
        chosen: list[int] = []
        for one in classes:
            members = order[labels[order] == one]
            if len(members) < each:
                raise DataError(
                    f"{num_labels} labels are {each} a class, but class {one} has only {len(members)} images: "
                    f"take at most {int(torch.bincount(labels)[classes].min()) * len(classes)} labels"
                )
            chosen += members[:each].tolist()
        chosen_labels = tuple(labels[chosen].tolist())
        return cls(seed, tuple(chosen), chosen_labels, len(labels), include_labelled)

    @property
    def digest(self) -> str:
        """SHA-256 over everything that the split says: two splits are the same if and only if this is."""
        text = f"{self.num_images}|{self.include_labelled}|{self.indices}|{self.labels}"
        return hashlib.sha256(text.encode()).hexdigest()

    def unlabelled_indices(self) -> Tensor:
        """(M,) positions of the images that D sees without label."""
        if self.include_labelled:
            return torch.arange(self.num_images)
        keep = torch.ones(self.num_images, dtype=torch.bool)
        keep[list(self.indices)] = False
        return keep.nonzero().flatten()

    def as_dict(self) -> dict[str, object]:
        """What a run folder stores."""
        return {
            "seed": self.seed,
            "num_labels": len(self.indices),
            "include_labelled": self.include_labelled,
            "num_images": self.num_images,
            "indices": list(self.indices),
            "labels": list(self.labels),
            "sha256": self.digest,
        }

"""Batches of a semi-supervised run: labelled, unlabelled for D, and a fresh unlabelled one for G to match.

The order of epoch e is drawn from (seed, e) alone, so a run can be resumed at any step without a stored state. As in
the released scripts the labelled images are gone through in random order again and again, and the two unlabelled
streams are shuffled independently of each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from improved_gan.data.dataset import DataError, LabelledImages, unit_range
from improved_gan.data.label_split import LabelSplit

__all__ = ["Batch", "Batches", "Guesses"]


@dataclass(frozen=True)
class Guesses:
    """Classes guessed for some images without labels, and how they are used.

    Args:
        indices: (M,) int64 positions in the training set.
        classes: (M,) int64 their guessed classes.
        batch_size: how many of them a step sees.
        num_epochs: only the first epochs see them.
    """

    indices: Tensor
    classes: Tensor
    batch_size: int
    num_epochs: int


@dataclass(frozen=True)
class Batch:
    """What one training step sees; images (N, C, H, W) float32 in [0, 1]."""

    labelled_images: Tensor
    labels: Tensor  # (N,) int64
    unlabelled_images: Tensor  # for the discriminator
    fresh_images: Tensor  # unlabelled too, drawn independently: for the generator to match
    guessed_images: Tensor | None = None  # some with a guessed class, where the recipe has them
    guesses: Tensor | None = None  # (N,) int64


class Batches:
    """Draws the batches of any epoch.

    Args:
        data: the training images with all their labels; only those of the split are ever read.
        split: which images have labels.
        batch_size: N, of each of the three parts.
        seed: decides every order.
        device: where the images are kept and batches come out.
        labelled_batch_size: of the labelled part; default N.
        guesses: further images for the classes, with guessed ones.

    Raises:
        DataError: the split belongs to other data, or there are fewer unlabelled images than one batch.
    """

    def __init__(
        self,
        data: LabelledImages,
        split: LabelSplit,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
        labelled_batch_size: int | None = None,
        guesses: Guesses | None = None,
    ) -> None:
        labelled = torch.tensor(split.indices)
        if split.num_images != len(data) or not torch.equal(data.labels[labelled], torch.tensor(split.labels)):
            raise DataError(f"this label split was drawn from other data ({split.num_images} images, here {len(data)})")
        unlabelled = split.unlabelled_indices()
        if not 0 < batch_size <= len(unlabelled):
            raise DataError(
                f"the batch size must lie between 1 and the {len(unlabelled)} unlabelled images; got {batch_size}"
            )
        self._labelled_images = data.images[labelled].to(device)
        self._labels = data.labels[labelled].to(device)
        self._unlabelled_images = (data.images if split.include_labelled else data.images[unlabelled]).to(device)
        self._batch_size, self._seed, self._device = batch_size, seed, torch.device(device)
        self._labelled_batch_size = labelled_batch_size or batch_size
        self._guesses = guesses
        if guesses is not None:
            self._guessed_images = data.images[guesses.indices].to(device)
            self._guessed_classes = guesses.classes.to(device)

    @property
    def steps_per_epoch(self) -> int:
        """How many whole batches the unlabelled images make."""
        return len(self._unlabelled_images) // self._batch_size

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from its step `first_step` on."""
        unlabelled, fresh = (self._shuffled(epoch, stream) for stream in (1, 2))
        labelled = self._repeated(epoch, 0, len(self._labels), self._labelled_batch_size)
        guesses = self._guesses if self._guesses is not None and epoch < self._guesses.num_epochs else None
        guessed = self._repeated(epoch, 3, len(guesses.indices), guesses.batch_size) if guesses is not None else None
        for step in range(first_step, self.steps_per_epoch):
            rows = slice(step * self._batch_size, (step + 1) * self._batch_size)
            known = labelled[step]
            yield Batch(
                labelled_images=unit_range(self._labelled_images[known]),
                labels=self._labels[known],
                unlabelled_images=unit_range(self._unlabelled_images[unlabelled[rows]]),
                fresh_images=unit_range(self._unlabelled_images[fresh[rows]]),
                guessed_images=None if guessed is None else unit_range(self._guessed_images[guessed[step]]),
                guesses=None if guessed is None else self._guessed_classes[guessed[step]],
            )

    def _shuffled(self, epoch: int, stream: int) -> Tensor:
        """The unlabelled rows in the order of one epoch."""
        random = np.random.default_rng([self._seed, stream, epoch])
        return torch.from_numpy(random.permutation(len(self._unlabelled_images))).to(self._device)

    def _repeated(self, epoch: int, stream: int, available: int, batch_size: int) -> Tensor:
        """(steps, batch_size) shuffles of the rows 0..available - 1, one after another."""
        random = np.random.default_rng([self._seed, stream, epoch])
        needed = self.steps_per_epoch * batch_size
        order = np.concatenate([random.permutation(available) for _ in range(-(-needed // available))])[:needed]
        return torch.from_numpy(order.reshape(self.steps_per_epoch, batch_size)).to(self._device)

"""Batches of a semi-supervised run: labelled, unlabelled for D, and a fresh unlabelled one for G to match.

The order of epoch e is drawn from (seed, e) alone, so a run can be resumed at any step without a stored state. As in
the released scripts the labelled images are gone through in random order again and again, and the two unlabelled
streams are shuffled independently of each other. Images are taken by their row numbers, so a memory-mapped set is never
copied.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from improved_gan.data.dataset import DataError, LabelledImages
from improved_gan.data.image_rows import ImageRows
from improved_gan.data.label_split import LabelSplit

__all__ = ["Batch", "Batches", "Deformations", "GuessSource", "Guesses"]

_DEFORMING = 4  # the random stream after those of the parts


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

    def at(self, epoch: int) -> "Guesses | None":
        """Themselves for the epochs that see them."""
        return self if epoch < self.num_epochs else None


class GuessSource(Protocol):
    """Where guesses come from that may change in the course of a run; `Guesses` are one that do not."""

    @property
    def batch_size(self) -> int:
        """How many guessed images a step sees."""

    def at(self, epoch: int) -> Guesses | None:
        """Those that an epoch sees; asked for when it begins or goes on."""


class Deformations(Protocol):
    """What changes images without changing their class, such as `techniques.RandomDeformations`."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(N, C, H, W) images, each in a new form, drawn with a generator on the CPU."""


@dataclass(frozen=True)
class Batch:
    """What one training step sees; images (N, C, H, W) float32 in [0, 1]."""

    labelled_images: Tensor  # none of them, (0, C, H, W), where there are no labels
    labels: Tensor  # (N,) int64
    unlabelled_images: Tensor  # for the discriminator
    fresh_images: Tensor  # unlabelled too, drawn independently: for the generator to match
    guessed_images: Tensor | None = None  # some with a guessed class, where the recipe has them
    guesses: Tensor | None = None  # (N,) int64
    deform: Callable[[Tensor], Tensor] | None = None  # gives images a new form, where the recipe has some
    label_weights: Tensor | None = None  # (N,) how much each label counts, of mean 1 over all labels; None for 1


class _Orders(NamedTuple):
    """(steps, own rows) places of each part's images in one epoch."""

    epoch: int
    labelled: Tensor
    unlabelled: Tensor
    fresh: Tensor
    guesses: Guesses | None
    guessed: Tensor | None  # places among the guesses


class Batches:
    """Draws the batches of any epoch.

    Args:
        data: the training images with all their labels; only those of the split are ever read.
        split: which images have labels.
        batch_size: N, of each of the three parts.
        seed: decides every order.
        device: where batches come out, and where the images are kept if they fit well.
        labelled_batch_size: of the labelled part; default N.
        guesses: further images for the classes, with guessed ones.
        deformations: labelled and guessed images come in a new form each time they are seen; for the unlabelled ones
            see `Batch.deform`.
        share: (r, R): only the r-th of R equal shares of each part is gathered, for process r of R.

    Raises:
        DataError: the split belongs to other data, there are fewer unlabelled images than one batch, or a part does
            not divide by R.
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
        guesses: GuessSource | None = None,
        deformations: Deformations | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        labelled = torch.tensor(split.indices, dtype=torch.int64)
        if split.num_images != len(data) or not torch.equal(
            data.labels[labelled], torch.tensor(split.labels, dtype=torch.int64)
        ):
            raise DataError(f"this label split was drawn from other data ({split.num_images} images, here {len(data)})")
        unlabelled = split.unlabelled_indices()
        if not 0 < batch_size <= len(unlabelled):
            raise DataError(
                f"the batch size must lie between 1 and the {len(unlabelled)} unlabelled images; got {batch_size}"
            )
        self._images = ImageRows(data.images, device)
        self._labelled_rows = labelled.to(self._images.index_device)
        self._unlabelled_rows = unlabelled.to(self._images.index_device)
        self._labels = data.labels[labelled].to(device)
        self._batch_size, self._seed, self._device = batch_size, seed, torch.device(device)
        self._labelled_batch_size = labelled_batch_size or batch_size
        self._guesses, self._deformations, self._share = guesses, deformations, share
        for size in (batch_size, self._labelled_batch_size, 0 if guesses is None else guesses.batch_size):
            if size % share[1]:
                raise DataError(f"a batch of {size} cannot be shared evenly by {share[1]} processes")

    @property
    def steps_per_epoch(self) -> int:
        """How many whole batches the unlabelled images make."""
        return len(self._unlabelled_rows) // self._batch_size

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from its step `first_step` on."""
        orders = self._orders(epoch)
        steps = range(first_step, self.steps_per_epoch)
        if not self._images.large:
            yield from (self._batch(orders, step) for step in steps)
            return
        with ThreadPoolExecutor(1) as ahead:  # the disk is read while the networks compute
            coming = None
            for step in steps:
                batch = self._batch(orders, step) if coming is None else coming.result()
                coming = ahead.submit(self._batch, orders, step + 1) if step + 1 < steps.stop else None
                yield batch

    def _orders(self, epoch: int) -> _Orders:
        """Own rows of each part's batches; stream 0 and 3 repeat shuffles, 1 and 2 shuffle the unlabelled once."""
        guesses = None if self._guesses is None else self._guesses.at(epoch)
        return _Orders(
            epoch=epoch,
            labelled=self._order(epoch, 0, len(self._labels), self._labelled_batch_size),
            unlabelled=self._order(epoch, 1, len(self._unlabelled_rows), self._batch_size),
            fresh=self._order(epoch, 2, len(self._unlabelled_rows), self._batch_size),
            guesses=guesses,
            guessed=None if guesses is None else self._order(epoch, 3, len(guesses.indices), guesses.batch_size),
        )

    def _batch(self, orders: _Orders, step: int) -> Batch:
        labelled, deform = orders.labelled[step], self._deform(orders.epoch, step)
        labelled_images = self._images(self._labelled_rows[labelled])
        batch = Batch(
            labelled_images=labelled_images if deform is None else deform(labelled_images),
            labels=self._labels[labelled.to(self._device)],
            unlabelled_images=self._images(self._unlabelled_rows[orders.unlabelled[step]]),
            fresh_images=self._images(self._unlabelled_rows[orders.fresh[step]]),
            deform=deform,
        )
        if orders.guessed is None or orders.guesses is None:
            return batch
        guessed = orders.guessed[step].to(orders.guesses.indices.device)
        images = self._images(orders.guesses.indices[guessed].to(self._images.index_device))
        return replace(
            batch,
            guessed_images=images if deform is None else deform(images),
            guesses=orders.guesses.classes[guessed].to(self._device),
        )

    def _deform(self, epoch: int, step: int) -> Callable[[Tensor], Tensor] | None:
        """The deformations of one step: like the orders they depend on nothing else."""
        if self._deformations is None:
            return None
        words = np.random.SeedSequence([self._seed, _DEFORMING, epoch, step, self._share[0]]).generate_state(2)
        generator = torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
        return partial(self._deformations, generator=generator)

    def _order(self, epoch: int, stream: int, available: int, batch_size: int) -> Tensor:
        """(steps, own share of batch_size) places among `available` rows: shuffles of them one after another."""
        random = np.random.default_rng([self._seed, stream, epoch])
        if not available:
            return torch.zeros(self.steps_per_epoch, 0, dtype=torch.int64, device=self._images.index_device)
        needed = self.steps_per_epoch * batch_size
        order = np.concatenate([random.permutation(available) for _ in range(-(-needed // available))])[:needed]
        (number, shares), size = self._share, batch_size // self._share[1]
        own = order.reshape(self.steps_per_epoch, shares, size)[:, number]
        return torch.from_numpy(np.ascontiguousarray(own)).to(self._images.index_device)

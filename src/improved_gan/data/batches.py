"""Batches of a semi-supervised run: labeled, unlabeled for the discriminator, and unlabeled for feature matching.

The order of epoch e is a function of (seed, e), so a run can be resumed at any step without a stored state. As in
the released scripts the labeled images are gone through in random order again and again, and the two unlabeled
streams are shuffled independently of each other.

Images are taken by their row numbers, wherever they lie: in memory, in a memory-mapped file, or on the device. A set
that fits well is moved to the device once; a larger one stays where it is, never copied, and each batch is gathered in
order of place, so that a memory-mapped file is read forwards, and sent on.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from improved_gan.data.dataset import DataError, LabeledImages, to_float01
from improved_gan.data.label_split import LabelSplit

__all__ = ["Augmenter", "Batch", "Batches", "ImageRows", "ImageTable", "PseudoLabelSource", "PseudoLabels"]


_LARGE = 2**30  # bytes: from here on a set may not be in memory, so it is read in order of place and ahead of use


class ImageTable:
    """Takes batches out of images that are never copied as a whole on their own device.

    Args:
        images: (N, C, H, W) uint8; may be memory-mapped.
        device: where batches come out.

    >>> ImageTable(torch.full((3, 1, 2, 2), 51, dtype=torch.uint8), "cpu")(torch.tensor([2, 0])).unique()
    tensor([0.2000])
    """

    def __init__(self, images: Tensor, device: torch.device | str) -> None:
        self._device = torch.device(device)
        moves = images.device.type != self._device.type and images.nbytes <= _room(self._device)
        self._images = images.to(self._device) if moves else images
        self.large = self._images.device.type == "cpu" and images.nbytes >= _LARGE

    def __len__(self) -> int:
        return len(self._images)

    @property
    def index_device(self) -> torch.device:
        """Where row numbers are best kept."""
        return self._images.device

    def __call__(self, rows: Tensor) -> Tensor:
        """The images of these rows, (N, C, H, W) float32 in [0, 1], on the device."""
        if not self.large:
            return to_float01(self._images[rows].to(self._device))
        places, order = rows.sort()
        taken = torch.empty(len(rows), *self._images.shape[1:], dtype=torch.uint8)
        taken[order] = self._images[places]
        return to_float01(taken.to(self._device))


def _room(device: torch.device) -> int:
    """Bytes that images may take on a device: a quarter of what is free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 4
    return 2**63 - 1


_AUGMENTING = 4  # the random stream after those of the parts


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels for some unlabeled images, and in which steps they are used.

    Args:
        indices: (M,) int64 positions in the training set.
        classes: (M,) int64 their pseudo-labels.
        batch_size: how many of them a batch contains.
        num_epochs: they are used in the first epochs only.
    """

    indices: Tensor
    classes: Tensor
    batch_size: int
    num_epochs: int

    def at(self, epoch: int) -> "PseudoLabels | None":
        """Self in the epochs that use the pseudo-labels, else None."""
        return self if epoch < self.num_epochs else None


class PseudoLabelSource(Protocol):
    """A source of pseudo-labels that may change during a run; `PseudoLabels` are a constant one."""

    @property
    def batch_size(self) -> int:
        """How many pseudo-labeled images a batch contains."""

    def at(self, epoch: int) -> PseudoLabels | None:
        """Those of an epoch; called when it begins or is resumed."""


class Augmenter(Protocol):
    """A random augmentation that keeps the class, such as `label_spreading.RandomElasticAffine`."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(N, C, H, W) images -> a random augmented view of each, drawn with a generator on the CPU."""


@dataclass(frozen=True)
class Batch:
    """The batch of one training step; images (N, C, H, W) float32 in [0, 1]."""

    labeled_images: Tensor  # none of them, (0, C, H, W), where there are no labels
    labels: Tensor  # (N,) int64
    unlabeled_images: Tensor  # for the discriminator
    matching_images: Tensor  # unlabeled too, drawn independently: for feature matching
    pseudo_labeled_images: Tensor | None = None  # where the recipe has pseudo-labels
    pseudo_labels: Tensor | None = None  # (N,) int64
    augment: Callable[[Tensor], Tensor] | None = None  # gives augmented views, where the recipe has them
    label_weights: Tensor | None = None  # (N,) how much each label counts, of mean 1 over all labels; None for 1


class ImageRows(Protocol):
    """Images that are taken by their row numbers; `ImageTable` is one."""

    @property
    def index_device(self) -> torch.device:
        """Where row numbers are best kept."""

    @property
    def large(self) -> bool:
        """Whether they may not be in memory, so that they are read ahead of use."""

    def __len__(self) -> int: ...

    def __call__(self, rows: Tensor) -> Tensor:
        """The images of these rows, (N, C, H, W) float32 in [0, 1]."""


class _Orders(NamedTuple):
    """(steps, own rows) positions of each part's images in one epoch."""

    epoch: int
    labeled: Tensor
    unlabeled: Tensor
    matching: Tensor
    pseudo_labels: PseudoLabels | None
    pseudo_rows: Tensor | None  # positions among the pseudo-labels


class Batches:
    """Draws the batches of any epoch.

    Args:
        data: the training images with all their labels, of which only those of the split are ever read; or the images
            alone.
        split: which images have labels.
        batch_size: N, of each of the three parts.
        seed: decides every order.
        device: where batches come out, and where the images are kept if they fit well.
        labeled_batch_size: of the labeled part; default N.
        pseudo_labels: further images for the supervised part, with their source of pseudo-labels.
        augmenter: applied to labeled and pseudo-labeled images each time they are drawn; for the unlabeled ones
            see `Batch.augment`.
        label_weights: (L,) how much each label of the split counts, of mean 1; None for 1.
        share: (r, R): only the r-th of R equal slices of each part is gathered, for process r of R.

    Raises:
        DataError: the split belongs to other data, there are fewer unlabeled images than one batch, or a part does
            not divide by R.
    """

    def __init__(
        self,
        data: LabeledImages | ImageRows,
        split: LabelSplit,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
        labeled_batch_size: int | None = None,
        pseudo_labels: PseudoLabelSource | None = None,
        augmenter: Augmenter | None = None,
        label_weights: Tensor | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        labeled, labels = (torch.tensor(one, dtype=torch.int64) for one in (split.indices, split.labels))
        fits = split.num_images == len(data)
        if not fits or (isinstance(data, LabeledImages) and not torch.equal(data.labels[labeled], labels)):
            raise DataError(f"this label split was drawn from other data ({split.num_images} images, here {len(data)})")
        unlabeled = split.unlabeled_indices()
        if not 0 < batch_size <= len(unlabeled):
            raise DataError(
                f"the batch size must lie between 1 and the {len(unlabeled)} unlabeled images; got {batch_size}"
            )
        self._images: ImageRows = ImageTable(data.images, device) if isinstance(data, LabeledImages) else data
        self._labeled_rows = labeled.to(self._images.index_device)
        self._unlabeled_rows = unlabeled.to(self._images.index_device)
        self._labels = labels.to(device)
        self._label_weights = None if label_weights is None else label_weights.to(device)
        self._batch_size, self._seed, self._device = batch_size, seed, torch.device(device)
        self._labeled_batch_size = labeled_batch_size or batch_size
        self._pseudo_labels, self._augmenter, self._share = pseudo_labels, augmenter, share
        for size in (batch_size, self._labeled_batch_size, 0 if pseudo_labels is None else pseudo_labels.batch_size):
            if size % share[1]:
                raise DataError(f"a batch of {size} cannot be divided evenly among {share[1]} processes")

    @property
    def steps_per_epoch(self) -> int:
        """How many whole batches the unlabeled images make."""
        return len(self._unlabeled_rows) // self._batch_size

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
        """Own rows of each part's batches; streams 0 and 3 repeat shuffles, 1 and 2 shuffle the unlabeled once."""
        pseudo_labels = None if self._pseudo_labels is None else self._pseudo_labels.at(epoch)
        return _Orders(
            epoch=epoch,
            labeled=self._order(epoch, 0, len(self._labels), self._labeled_batch_size),
            unlabeled=self._order(epoch, 1, len(self._unlabeled_rows), self._batch_size),
            matching=self._order(epoch, 2, len(self._unlabeled_rows), self._batch_size),
            pseudo_labels=pseudo_labels,
            pseudo_rows=None
            if pseudo_labels is None
            else self._order(epoch, 3, len(pseudo_labels.indices), pseudo_labels.batch_size),
        )

    def _batch(self, orders: _Orders, step: int) -> Batch:
        labeled, augment = orders.labeled[step], self._augment(orders.epoch, step)
        labeled_images = self._images(self._labeled_rows[labeled])
        places = labeled.to(self._device)
        batch = Batch(
            labeled_images=labeled_images if augment is None else augment(labeled_images),
            labels=self._labels[places],
            unlabeled_images=self._images(self._unlabeled_rows[orders.unlabeled[step]]),
            matching_images=self._images(self._unlabeled_rows[orders.matching[step]]),
            augment=augment,
            label_weights=None if self._label_weights is None else self._label_weights[places],
        )
        if orders.pseudo_rows is None or orders.pseudo_labels is None:
            return batch
        rows = orders.pseudo_rows[step].to(orders.pseudo_labels.indices.device)
        images = self._images(orders.pseudo_labels.indices[rows].to(self._images.index_device))
        return replace(
            batch,
            pseudo_labeled_images=images if augment is None else augment(images),
            pseudo_labels=orders.pseudo_labels.classes[rows].to(self._device),
        )

    def _augment(self, epoch: int, step: int) -> Callable[[Tensor], Tensor] | None:
        """The augmentation of one step: a function of (seed, epoch, step), as the orders are of (seed, epoch)."""
        if self._augmenter is None:
            return None
        words = np.random.SeedSequence([self._seed, _AUGMENTING, epoch, step, self._share[0]]).generate_state(2)
        generator = torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
        return partial(self._augmenter, generator=generator)

    def _order(self, epoch: int, stream: int, available: int, batch_size: int) -> Tensor:
        """(steps, own slice of batch_size) positions among `available` rows: shuffles of them one after another."""
        random = np.random.default_rng([self._seed, stream, epoch])
        if not available:
            return torch.zeros(self.steps_per_epoch, 0, dtype=torch.int64, device=self._images.index_device)
        needed = self.steps_per_epoch * batch_size
        order = np.concatenate([random.permutation(available) for _ in range(-(-needed // available))])[:needed]
        (number, slices), size = self._share, batch_size // self._share[1]
        own = order.reshape(self.steps_per_epoch, slices, size)[:, number]
        return torch.from_numpy(np.ascontiguousarray(own)).to(self._images.index_device)

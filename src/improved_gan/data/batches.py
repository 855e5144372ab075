"""Batches of a semi-supervised run: labelled, unlabelled for D, and a fresh unlabelled one for G to match.

The order of epoch e is drawn from (seed, e) alone, so a run can be resumed at any step without a stored state. As in
the released scripts the labelled images are gone through in random order again and again, and the two unlabelled
streams are shuffled independently of each other. Images are taken by their row numbers, so a memory-mapped set is never
copied.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from improved_gan.data.dataset import DataError, LabelledImages
from improved_gan.data.image_rows import ImageRows
from improved_gan.data.label_split import LabelSplit

__all__ = ["Batch", "Batches"]


@dataclass(frozen=True)
class Batch:
    """What one training step sees; images (N, C, H, W) float32 in [0, 1]."""

    labelled_images: Tensor  # none of them, (0, C, H, W), where there are no labels
    labels: Tensor  # (N,) int64
    unlabelled_images: Tensor  # for the discriminator
    fresh_images: Tensor  # unlabelled too, drawn independently: for the generator to match


class Batches:
    """Draws the batches of any epoch.

    Args:
        data: the training images with all their labels; only those of the split are ever read.
        split: which images have labels.
        batch_size: N, of each of the three parts.
        seed: decides every order.
        device: where batches come out, and where the images are kept if they fit well.

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

    @property
    def steps_per_epoch(self) -> int:
        """How many whole batches the unlabelled images make."""
        return len(self._unlabelled_rows) // self._batch_size

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from its step `first_step` on."""
        orders = [self._order(epoch, stream) for stream in range(3)]
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

    def _batch(self, orders: list[Tensor], step: int) -> Batch:
        labelled, unlabelled, fresh = (
            order[step * self._batch_size : (step + 1) * self._batch_size] for order in orders
        )
        return Batch(
            labelled_images=self._images(self._labelled_rows[labelled]),
            labels=self._labels[labelled.to(self._device)],
            unlabelled_images=self._images(self._unlabelled_rows[unlabelled]),
            fresh_images=self._images(self._unlabelled_rows[fresh]),
        )

    def _order(self, epoch: int, stream: int) -> Tensor:
        """Row numbers for one epoch: stream 0 repeats shuffles of the labelled rows, 1 and 2 shuffle the unlabelled."""
        random = np.random.default_rng([self._seed, stream, epoch])
        if stream:
            order = random.permutation(len(self._unlabelled_rows))
        elif not len(self._labels):
            order = np.zeros(0, dtype=np.int64)
        else:
            needed, available = self.steps_per_epoch * self._batch_size, len(self._labels)
            order = np.concatenate([random.permutation(available) for _ in range(-(-needed // available))])
        return torch.from_numpy(order).to(self._images.index_device)

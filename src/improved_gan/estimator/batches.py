"""Batches from the user's arrays: gathered and scaled a batch at a time, or once where they are small.

The order of an epoch is drawn from (seed, epoch) alone, as in `data.Batches`; the labeled examples are gone through
again and again, and are among the unlabeled ones too, as in the released scripts.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from improved_gan.data import Batch, PseudoLabels
from improved_gan.estimator.layout import Layout
from improved_gan.estimator.scaling import Scale

__all__ = ["ArrayBatches", "Examples"]

_KEPT_NUMBERS = 2**26  # 256 MiB of float32


class Examples:
    """The rows of one or more arrays, ready for a network.

    Args:
        parts: arrays (N_i, ...) of one trailing shape; memory-mapped ones stay on the disk, unless they are small.
        layout: how their axes are read.
        scale: to [0, 1].
        device: where tensors go.
    """

    def __init__(self, parts: list[np.ndarray], layout: Layout, scale: Scale, device: str) -> None:
        self._parts, self._layout, self._scale, self._device = parts, layout, scale, device
        self._starts = np.cumsum([0, *map(len, parts)])
        self._kept: Tensor | None = None
        if len(self) * int(np.prod(layout.shape)) <= _KEPT_NUMBERS:
            self._kept = torch.cat([self._ready(part) for part in parts]).to(device)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, rows: np.ndarray) -> Tensor:
        """(n,) row numbers -> (n, C, H, W) float32 in [0, 1]."""
        if self._kept is not None:
            return self._kept[torch.from_numpy(rows).to(self._device)]
        result = torch.empty(len(rows), *self._layout.shape)
        for part, start, stop in zip(self._parts, self._starts[:-1], self._starts[1:], strict=True):
            here = np.flatnonzero((rows >= start) & (rows < stop))
            if len(here):
                result[torch.from_numpy(here)] = self._ready(part[rows[here] - start])
        return result.to(self._device)

    def _ready(self, examples: np.ndarray) -> Tensor:
        scaled = np.ascontiguousarray(self._layout.channels_first(self._scale.apply(examples)))
        return torch.from_numpy(scaled)


class ArrayBatches:
    """A `BatchSource` over examples of which some have labels.

    Args:
        examples: all examples, labeled or not.
        labeled_rows: (L,) row numbers of those whose labels may be used.
        codes: (L,) their classes.
        batch_size: of each part; fewer where there are fewer examples.
        seed: decides every order.
        device: where batches come out.
        pseudo_labels: further examples for the supervised part, with pseudo-labels.
        weights: (L,) how much each label counts, of mean 1; None for 1.
    """

    def __init__(
        self,
        examples: Examples,
        labeled_rows: np.ndarray,
        codes: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        device: str,
        pseudo_labels: PseudoLabels | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        self._examples, self._labeled_rows, self._seed, self._pseudo_labels = (
            examples,
            labeled_rows,
            seed,
            pseudo_labels,
        )
        self._codes = torch.from_numpy(codes).to(device)
        self._weights = None if weights is None else torch.from_numpy(weights).float().to(device)
        self._batch_size = min(batch_size, len(examples))
        self._device = device

    @property
    def steps_per_epoch(self) -> int:
        """How many whole batches the examples make."""
        return len(self._examples) // self._batch_size

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from its step `first_step` on."""
        pseudo_labels = (
            self._pseudo_labels if self._pseudo_labels is not None and epoch < self._pseudo_labels.num_epochs else None
        )
        labeled = self._repeated(epoch, 0, len(self._labeled_rows), self._batch_size)
        unlabeled, fresh = (self._random(epoch, stream).permutation(len(self._examples)) for stream in (1, 2))
        pseudo_rows = (
            None
            if pseudo_labels is None
            else self._repeated(epoch, 3, len(pseudo_labels.indices), pseudo_labels.batch_size)
        )
        for step in range(first_step, self.steps_per_epoch):
            rows = slice(step * self._batch_size, (step + 1) * self._batch_size)
            places = torch.from_numpy(labeled[rows]).to(self._device)
            batch = Batch(
                labeled_images=self._examples.take(self._labeled_rows[labeled[rows]]),
                labels=self._codes[places],
                unlabeled_images=self._examples.take(unlabeled[rows]),
                matching_images=self._examples.take(fresh[rows]),
                label_weights=None if self._weights is None else self._weights[places],
            )
            if pseudo_rows is not None and pseudo_labels is not None:
                some = pseudo_rows[step * pseudo_labels.batch_size : (step + 1) * pseudo_labels.batch_size]
                images = self._examples.take(pseudo_labels.indices[some].numpy())
                batch = replace(
                    batch, pseudo_labeled_images=images, pseudo_labels=pseudo_labels.classes[some].to(self._device)
                )
            yield batch

    def _random(self, epoch: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, stream, epoch])

    def _repeated(self, epoch: int, stream: int, available: int, batch_size: int) -> np.ndarray:
        """Places for all steps of an epoch: shuffles of the available ones, one after another."""
        random, needed = self._random(epoch, stream), self.steps_per_epoch * batch_size
        return np.concatenate([random.permutation(available) for _ in range(-(-needed // available))])

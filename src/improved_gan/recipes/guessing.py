"""Guessed labels for the beginning of a run: spread from the few true ones over a graph of neighbours."""

from dataclasses import dataclass

import torch
from torch import Tensor

from improved_gan.data import Guesses, LabelledImages, LabelSplit
from improved_gan.data.dataset import unit_range
from improved_gan.distributed import from_main
from improved_gan.techniques import spread_labels, surest_of_each_class

__all__ = ["Guessing"]


@dataclass(frozen=True)
class Guessing:
    """How a recipe guesses labels and for how long it believes them.

    Args:
        batch_size: how many images with a guessed class a step sees.
        share: of the training images, the surest of each class, 0 < share <= 1.
        duration: share of the run, from its start, that sees them, 0 < duration <= 1.
        num_neighbours, num_components: see `techniques.spread_labels`.
    """

    batch_size: int = 60
    share: float = 0.8
    duration: float = 0.4
    num_neighbours: int = 10
    num_components: int = 64

    def guesses(self, data: LabelledImages, split: LabelSplit, *, epochs: int) -> Guesses:
        """Spread the labels of the split over the training images; no other label is read."""
        labels = torch.full((len(data),), -1)
        labels[list(split.indices)] = torch.tensor(split.labels)
        rows = split.training_indices()
        places, classes = self.spread(unit_range(data.images[rows]), labels[rows])
        return Guesses(rows[places], classes, self.batch_size, self.num_epochs(epochs))

    def spread(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Guess the classes of images.

        Args:
            images: (N, ...) floating-point.
            labels: (N,) int64 classes, -1 where there is no label.

        Returns:
            (M,) places of the surest share of each class among the images, and (M,) their classes, int64.
        """
        probabilities = spread_labels(
            images,
            labels,
            num_neighbours=min(self.num_neighbours, len(images) - 1),
            num_components=self.num_components,
        )
        probabilities = from_main(probabilities)  # the same in all processes, to the last bit
        surest = surest_of_each_class(probabilities, self.share)
        return surest, probabilities.argmax(1)[surest]

    def num_epochs(self, epochs: int) -> int:
        """How many of a run's epochs see the guesses."""
        return max(1, round(self.duration * epochs))

"""Guessed labels for the beginning of a run: spread from the few true ones over a graph of neighbours."""

from dataclasses import dataclass

import torch

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
        probabilities = spread_labels(
            unit_range(data.images[rows]),
            labels[rows],
            num_neighbours=min(self.num_neighbours, len(rows) - 1),
            num_components=self.num_components,
        )
        probabilities = from_main(probabilities)  # the same in all processes, to the last bit
        surest = surest_of_each_class(probabilities, self.share)
        guesses = probabilities.argmax(1)[surest]
        return Guesses(rows[surest], guesses, self.batch_size, max(1, round(self.duration * epochs)))

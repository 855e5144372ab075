"""Guessed labels for the beginning of a run, or of each of its rounds: spread from the few true ones over a graph.

In the first round neighbours are near in the images, in pixels or when these may move a little; in later ones in hidden
layers of the discriminator, whose neighbours agree better (Iscen et al., 2019, "Label propagation for deep
semi-supervised learning", who renew guesses every epoch). Guesses may rest in the second part of each round, so that
what was learnt from them by heart is forgotten before the next are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.data import Guesses, LabelledImages, LabelSplit
from improved_gan.distributed import from_main
from improved_gan.recipes.bent_neighbours import bent_neighbours
from improved_gan.techniques import spread_labels, surest_of_each_class

__all__ = ["Guessing", "images_at", "known_labels"]

_ALPHA, _LATER_ALPHA = 0.99, 0.999  # neighbours in layers are more alike, so labels may go farther


@dataclass(frozen=True)
class Guessing:
    """How a recipe guesses labels and for how long it believes them.

    Args:
        batch_size: how many images with a guessed class a step sees.
        share: of the training images, the surest of each class, 0 < share <= 1; of N images and K classes at most
            share * N / K of each.
        duration: share of the run, or of each round, from its start, that sees them, 0 < duration <= 1.
        num_neighbours: of the graphs, see `techniques.spread_labels`.
        num_components: see there; so many for each layer.
        rounds: equal parts of the run; labels are spread anew at the beginning of each, from the second on over layers
            of the discriminator (with averaged weights).
        later_share: `share` from the second round on; None for the same.
        layers: which hidden layers of the discriminator, counted from 0, make the graph then, each scaled to length 1;
            the last one in place of those that it has not.
        reach: how far pixels may move where neighbours are looked for in the images, see
            `techniques.deformation_neighbours`; None: among principal components, which know no places. Later
            rounds then take the mean of both graphs' probabilities.

    Raises:
        ValueError: a number out of its range.
    """

    batch_size: int = 60
    share: float = 0.8
    duration: float = 0.4
    num_neighbours: int = 10
    num_components: int = 64
    rounds: int = field(default=1, metadata={"later": True})
    later_share: float | None = field(default=None, metadata={"later": True})
    layers: tuple[int, ...] = field(default=(1, 2), metadata={"later": True})
    reach: int | None = field(default=None, metadata={"later": True})

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_neighbours", "num_components", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in ("share", "duration", "later_share"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ValueError(f"{name} must lie in 0 < {name} <= 1; got {value}")
        if self.reach is not None and self.reach < 0:
            raise ValueError(f"reach must not be negative; got {self.reach}")
        if not self.layers or min(self.layers) < 0:
            raise ValueError(f"layers must be one or more, counted from 0; got {self.layers}")
        object.__setattr__(self, "layers", tuple(self.layers))  # a list means the same

    @property
    def saved(self) -> bool:
        """Whether guesses are saved with the run, since they are made anew or take long; see `RenewedGuesses`."""
        return self.rounds > 1 or self.reach is not None

    def guesses(
        self, data: LabelledImages, split: LabelSplit, *, epochs: int, positions: Tensor | None = None
    ) -> Guesses:
        """Spread the labels of the split over the training images; no other label is read.

        Args:
            data: the training images.
            split: which of them have labels.
            epochs: of the run.
            positions: (H * W, 2) where their pixels lie; None: in rows and columns.
        """
        rows, labels = known_labels(data, split)
        places, classes = self.spread(images_at(data, rows), labels, positions)
        return Guesses(rows[places], classes, self.batch_size, self.num_epochs(epochs))

    def spread(self, images: Tensor, labels: Tensor, positions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Guess the classes of images, as in the first round.

        Returns:
            (M,) places of the surest share of each class among the images, and (M,) their classes, int64.
        """
        return self.surest(self.answers(images, labels, positions), self.share)

    def answers(self, images: Tensor, labels: Tensor, positions: Tensor | None = None) -> Tensor:
        """The graph of the first round.

        Args:
            images: (N, ...) of a real dtype, with `reach` (N, C, H, W); their scale does not matter.
            labels: (N,) int64 classes, -1 where there is no label.
            positions: (H * W, 2) where pixels lie, for `reach`; None: in rows and columns.

        Returns:
            (N, K) float64 class probabilities.
        """
        number, neighbours = min(self.num_neighbours, len(images) - 1), None
        if self.reach is not None:
            neighbours = bent_neighbours(images, positions, number, self.reach)
        found = spread_labels(
            images,
            labels,
            num_neighbours=number,
            num_components=self.num_components,
            alpha=_ALPHA,
            neighbours=neighbours,
        )
        return from_main(found)  # the same in all processes, to the last bit

    def answers_over_layers(self, layers: Sequence[Tensor], labels: Tensor) -> Tensor:
        """The graph of a later round.

        Args:
            layers: of the discriminator, (N, A_i) each.
            labels: (N,) int64 classes, -1 where there is no label.

        Returns:
            (N, K) float64 class probabilities.
        """
        found = spread_labels(
            torch.cat([F.normalize(layer) for layer in layers], 1),
            labels,
            num_neighbours=min(self.num_neighbours, len(labels) - 1),
            num_components=len(layers) * self.num_components,
            alpha=_LATER_ALPHA,
        )
        return from_main(found)

    @staticmethod
    def surest(probabilities: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """(M,) places of the surest share of each class and (M,) their classes, from (N, K) probabilities."""
        places = surest_of_each_class(probabilities, share)
        return places, probabilities.argmax(1)[places]

    def num_epochs(self, epochs: int) -> int:
        """How many epochs of a run, or about how many of each of its rounds, see the guesses."""
        return max(1, round(self.duration * epochs / min(self.rounds, epochs)))

    def round_at(self, epoch: int, epochs: int) -> int | None:
        """The round, from 0, whose guesses an epoch of the run sees; None where they rest. No round is without epochs.

        >>> [Guessing(rounds=2, duration=0.5).round_at(epoch, 8) for epoch in range(8)]
        [0, 0, None, None, 1, 1, None, None]
        """
        rounds = min(self.rounds, epochs)
        starts = [round(number * epochs / rounds) for number in range(rounds)]
        latest = max(number for number, start in enumerate(starts) if start <= epoch)
        length = [*starts, epochs][latest + 1] - starts[latest]
        return latest if epoch - starts[latest] < max(1, round(self.duration * length)) else None


def known_labels(data: LabelledImages, split: LabelSplit) -> tuple[Tensor, Tensor]:
    """(N,) positions that training may see, and (N,) their classes, -1 for those without a label in the split."""
    labels = torch.full((len(data),), -1)
    labels[list(split.indices)] = torch.tensor(split.labels)
    rows = split.training_indices()
    return rows, labels[rows]


def images_at(data: LabelledImages, rows: Tensor) -> Tensor:
    """The images at these ascending positions; all of them as they are, perhaps mapped from a file."""
    return data.images if len(rows) == len(data) else data.images[rows]

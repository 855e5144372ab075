"""Guessed labels for the beginning of a run, or of each of its rounds: spread from the few true ones over a graph.

In the first round neighbors are near in the images, in pixels or when these may move a little; in later ones in hidden
layers of the discriminator, whose neighbors agree better (Iscen et al., 2019, "Label propagation for deep
semi-supervised learning", who renew guesses every epoch). PseudoLabels may rest in the second part of each round, so that
what was learned from them by heart is forgotten before the next are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.data import LabeledImages, LabelSplit, PseudoLabels
from improved_gan.distributed import broadcast_from_rank0
from improved_gan.label_spreading.idm_neighbor_cache import idm_neighbor_cache
from improved_gan.label_spreading.spreading import label_spreading, most_confident_per_class

__all__ = ["PseudoLabeling", "images_at", "labels_of_split"]

_ALPHA, _LATER_ALPHA = 0.99, 0.999  # neighbors in layers are more alike, so labels may go farther


@dataclass(frozen=True)
class PseudoLabeling:
    """How a recipe guesses labels and for how long it believes them.

    Args:
        batch_size: how many images with a guessed class a step sees.
        confident_fraction: of the training images, the surest of each class, 0 < share <= 1; of N images and K classes at most
            share * N / K of each.
        active_fraction: share of the run, or of each round, from its start, that sees them, 0 < duration <= 1.
        num_neighbors: of the graphs, see `techniques.spread_labels`.
        num_components: see there; so many for each layer.
        num_rounds: equal parts of the run; labels are spread anew at the beginning of each, from the second on over layers
            of the discriminator (with averaged weights).
        later_fraction: `confident_fraction` from the second round on; None for the same.
        graph_layers: which hidden layers of the discriminator, counted from 0, make the graph then, each scaled to length 1;
            the last one in place of those that it has not.
        max_displacement: how far pixels may move where neighbors are looked for in the images, see
            `label_spreading.idm_neighbors`; None: among principal components, which know no places. Later
            rounds then take the mean of both graphs' probabilities.

    Raises:
        ValueError: a number out of its range.
    """

    batch_size: int = 60
    confident_fraction: float = 0.8
    active_fraction: float = 0.4
    num_neighbors: int = 10
    num_components: int = 64
    num_rounds: int = field(default=1, metadata={"later": True})
    later_fraction: float | None = field(default=None, metadata={"later": True})
    graph_layers: tuple[int, ...] = field(default=(1, 2), metadata={"later": True})
    max_displacement: int | None = field(default=None, metadata={"later": True})

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_neighbors", "num_components", "num_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in ("confident_fraction", "active_fraction", "later_fraction"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ValueError(f"{name} must lie in 0 < {name} <= 1; got {value}")
        if self.max_displacement is not None and self.max_displacement < 0:
            raise ValueError(f"reach must not be negative; got {self.max_displacement}")
        if not self.graph_layers or min(self.graph_layers) < 0:
            raise ValueError(f"layers must be one or more, counted from 0; got {self.graph_layers}")
        object.__setattr__(self, "graph_layers", tuple(self.graph_layers))  # a list means the same

    @property
    def saved(self) -> bool:
        """Whether guesses are saved with the run, since they are made anew or take long; see `PseudoLabelState`."""
        return self.num_rounds > 1 or self.max_displacement is not None

    def pseudo_labels(
        self, data: LabeledImages, split: LabelSplit, *, epochs: int, positions: Tensor | None = None
    ) -> PseudoLabels:
        """Spread the labels of the split over the training images; no other label is read.

        Args:
            data: the training images.
            split: which of them have labels.
            epochs: of the run.
            positions: (H * W, 2) where their pixels lie; None: in rows and columns.
        """
        rows, labels = labels_of_split(data, split)
        places, classes = self.spread(images_at(data, rows), labels, positions)
        return PseudoLabels(rows[places], classes, self.batch_size, self.num_epochs(epochs))

    def spread(self, images: Tensor, labels: Tensor, positions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Guess the classes of images, as in the first round.

        Returns:
            (M,) places of the surest share of each class among the images, and (M,) their classes, int64.
        """
        return self.most_confident(self.class_probabilities(images, labels, positions), self.confident_fraction)

    def class_probabilities(self, images: Tensor, labels: Tensor, positions: Tensor | None = None) -> Tensor:
        """The graph of the first round.

        Args:
            images: (N, ...) of a real dtype, with `max_displacement` (N, C, H, W); their scale does not matter.
            labels: (N,) int64 classes, -1 where there is no label.
            positions: (H * W, 2) where pixels lie, for `max_displacement`; None: in rows and columns.

        Returns:
            (N, K) float64 class probabilities.
        """
        number, neighbors = min(self.num_neighbors, len(images) - 1), None
        if self.max_displacement is not None:
            neighbors = idm_neighbor_cache(images, positions, number, self.max_displacement)
        found = label_spreading(
            images,
            labels,
            num_neighbors=number,
            num_components=self.num_components,
            alpha=_ALPHA,
            neighbors=neighbors,
        )
        return broadcast_from_rank0(found)  # the same in all processes, to the last bit

    def probabilities_from_features(self, graph_layers: Sequence[Tensor], labels: Tensor) -> Tensor:
        """The graph of a later round.

        Args:
            layers: of the discriminator, (N, A_i) each.
            labels: (N,) int64 classes, -1 where there is no label.

        Returns:
            (N, K) float64 class probabilities.
        """
        found = label_spreading(
            torch.cat([F.normalize(layer) for layer in graph_layers], 1),
            labels,
            num_neighbors=min(self.num_neighbors, len(labels) - 1),
            num_components=len(graph_layers) * self.num_components,
            alpha=_LATER_ALPHA,
        )
        return broadcast_from_rank0(found)

    @staticmethod
    def most_confident(probabilities: Tensor, confident_fraction: float) -> tuple[Tensor, Tensor]:
        """(M,) places of the surest share of each class and (M,) their classes, from (N, K) probabilities."""
        places = most_confident_per_class(probabilities, confident_fraction)
        return places, probabilities.argmax(1)[places]

    def num_epochs(self, epochs: int) -> int:
        """How many epochs of a run, or about how many of each of its rounds, see the guesses."""
        return max(1, round(self.active_fraction * epochs / min(self.num_rounds, epochs)))

    def round_at(self, epoch: int, epochs: int) -> int | None:
        """The round, from 0, whose guesses an epoch of the run sees; None where they rest. No round is without epochs.

        >>> [PseudoLabeling(num_rounds=2, active_fraction=0.5).round_at(epoch, 8) for epoch in range(8)]
        [0, 0, None, None, 1, 1, None, None]
        """
        num_rounds = min(self.num_rounds, epochs)
        starts = [round(number * epochs / num_rounds) for number in range(num_rounds)]
        latest = max(number for number, start in enumerate(starts) if start <= epoch)
        length = [*starts, epochs][latest + 1] - starts[latest]
        return latest if epoch - starts[latest] < max(1, round(self.active_fraction * length)) else None


def labels_of_split(data: LabeledImages, split: LabelSplit) -> tuple[Tensor, Tensor]:
    """(N,) positions that training may see, and (N,) their classes, -1 for those without a label in the split."""
    labels = torch.full((len(data),), -1)
    labels[list(split.indices)] = torch.tensor(split.labels)
    rows = split.training_indices()
    return rows, labels[rows]


def images_at(data: LabeledImages, rows: Tensor) -> Tensor:
    """The images at these ascending positions; all of them as they are, perhaps mapped from a file."""
    return data.images if len(rows) == len(data) else data.images[rows]

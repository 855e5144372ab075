"""Pseudo-labels for the first part of a run, or of each of its rounds: the few labels are spread over a k-NN graph.

In the first round the graph is that of the images, by Euclidean distance of principal components or by the image
deformation model; in later rounds that of hidden layers of the discriminator, whose neighbors more often have the same
class (Iscen et al., 2019, "Label propagation for deep semi-supervised learning", compute pseudo-labels every epoch).
The second part of each round may be trained without pseudo-labels, so that the network unlearns wrong ones before the
next are computed.

Pseudo-labels are computed at the beginning of each round and saved with the run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.data.batches import PseudoLabels
from improved_gan.data.dataset import LabeledImages, to_float01
from improved_gan.data.label_split import LabelSplit
from improved_gan.distributed import broadcast_from_rank0, single_process
from improved_gan.label_spreading.neighbor_cache import idm_neighbor_cache
from improved_gan.label_spreading.spreading import label_spreading, most_confident_per_class
from improved_gan.networks.interface import Discriminator, evaluation_batch_size

__all__ = ["PseudoLabelState", "PseudoLabeling", "images_at", "labels_of_split"]

_ALPHA, _LATER_ALPHA = 0.99, 0.999  # neighbors in hidden layers agree more often, so labels may spread farther


@dataclass(frozen=True)
class PseudoLabeling:
    """How a recipe computes pseudo-labels, and in which part of the run they are used.

    Args:
        batch_size: pseudo-labeled images per step.
        confident_fraction: the fraction of the training images that get pseudo-labels, the most confident of each
            class, 0 < fraction <= 1; of N images and K classes at most fraction * N / K of each.
        active_fraction: the fraction of the run, or of each round, from its start, in which they are used,
            0 < fraction <= 1.
        num_neighbors: k of the graphs, see `label_spreading.label_spreading`.
        num_components: principal components, see there; in later rounds per hidden layer.
        num_rounds: equal parts of the run; pseudo-labels are computed at the beginning of each, from the second on
            over hidden layers of the discriminator (with averaged weights).
        later_fraction: `confident_fraction` from the second round on; None for the same.
        graph_layers: the hidden layers of the discriminator, counted from 0, whose concatenation gives the later
            graphs, each scaled to length 1; the last layer where the index is too large.
        max_displacement: how far each pixel may move in the IDM distance of the first graph, see
            `label_spreading.idm_neighbors`; later rounds then use the mean of both graphs' probabilities. None: the
            distance of principal components, which does not depend on the pixel layout.

    Raises:
        ValueError: a number out of its range.
    """

    batch_size: int = 60
    confident_fraction: float = 0.8
    active_fraction: float = 0.4
    num_neighbors: int = 10
    num_components: int = 64
    num_rounds: int = 1
    later_fraction: float | None = None
    graph_layers: tuple[int, ...] = (1, 2)
    max_displacement: int | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_neighbors", "num_components", "num_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in ("confident_fraction", "active_fraction", "later_fraction"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ValueError(f"{name} must lie in 0 < {name} <= 1; got {value}")
        if self.max_displacement is not None and self.max_displacement < 0:
            raise ValueError(f"max_displacement must not be negative; got {self.max_displacement}")
        if not self.graph_layers or min(self.graph_layers) < 0:
            raise ValueError(f"graph_layers must be one or more indices, counted from 0; got {self.graph_layers}")
        object.__setattr__(self, "graph_layers", tuple(self.graph_layers))  # a list means the same

    @property
    def saved(self) -> bool:
        """Whether pseudo-labels are saved with the run: they change or take long to compute; see `PseudoLabelState`."""
        return self.num_rounds > 1 or self.max_displacement is not None

    def pseudo_labels(
        self, data: LabeledImages, split: LabelSplit, *, epochs: int, positions: Tensor | None = None
    ) -> PseudoLabels:
        """Spread the labels of the split over the training images; no other label is read.

        Args:
            data: the training images.
            split: which of them have labels.
            epochs: of the run.
            positions: (H * W, 2) the pixel layout; None: rows and columns.
        """
        rows, labels = labels_of_split(data, split)
        confident, classes = self.spread(images_at(data, rows), labels, positions)
        return PseudoLabels(rows[confident], classes, self.batch_size, self.num_epochs(epochs))

    def spread(self, images: Tensor, labels: Tensor, positions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Pseudo-labels of images, as in the first round.

        Returns:
            (M,) int64 indices of the most confident images of each class, and (M,) int64 their classes.
        """
        return self.most_confident(self.class_probabilities(images, labels, positions), self.confident_fraction)

    def class_probabilities(self, images: Tensor, labels: Tensor, positions: Tensor | None = None) -> Tensor:
        """Label spreading over the graph of the images, as in the first round.

        Args:
            images: (N, ...) of a real dtype, with `max_displacement` (N, C, H, W); their scale does not matter.
            labels: (N,) int64 classes, -1 where there is no label.
            positions: (H * W, 2) the pixel layout, for `max_displacement`; None: rows and columns.

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

    def probabilities_from_features(self, layers: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Label spreading over the graph of hidden layers, as in later rounds.

        Args:
            layers: outputs of hidden layers of the discriminator, (N, A_i) each.
            labels: (N,) int64 classes, -1 where there is no label.

        Returns:
            (N, K) float64 class probabilities.
        """
        found = label_spreading(
            torch.cat([F.normalize(layer) for layer in layers], 1),
            labels,
            num_neighbors=min(self.num_neighbors, len(labels) - 1),
            num_components=len(layers) * self.num_components,
            alpha=_LATER_ALPHA,
        )
        return broadcast_from_rank0(found)

    @staticmethod
    def most_confident(probabilities: Tensor, confident_fraction: float) -> tuple[Tensor, Tensor]:
        """(N, K) probabilities -> (M,) indices of the most confident examples of each class and (M,) their classes."""
        confident = most_confident_per_class(probabilities, confident_fraction)
        return confident, probabilities.argmax(1)[confident]

    def num_epochs(self, epochs: int) -> int:
        """The number of epochs of a run, or about that of each of its rounds, that use the pseudo-labels."""
        return max(1, round(self.active_fraction * epochs / min(self.num_rounds, epochs)))

    def round_at(self, epoch: int, epochs: int) -> int | None:
        """The round, from 0, whose pseudo-labels an epoch uses; None where it uses none. Each round has an epoch.

        >>> [PseudoLabeling(num_rounds=2, active_fraction=0.5).round_at(epoch, 8) for epoch in range(8)]
        [0, 0, None, None, 1, 1, None, None]
        """
        num_rounds = min(self.num_rounds, epochs)
        starts = [round(number * epochs / num_rounds) for number in range(num_rounds)]
        latest = max(number for number, start in enumerate(starts) if start <= epoch)
        length = [*starts, epochs][latest + 1] - starts[latest]
        return latest if epoch - starts[latest] < max(1, round(self.active_fraction * length)) else None


def labels_of_split(data: LabeledImages, split: LabelSplit) -> tuple[Tensor, Tensor]:
    """(N,) indices of the images to train on, and (N,) their classes, -1 for those without a label in the split."""
    labels = torch.full((len(data),), -1)
    labels[list(split.indices)] = torch.tensor(split.labels)
    rows = split.training_indices()
    return rows, labels[rows]


def images_at(data: LabeledImages, rows: Tensor) -> Tensor:
    """The images at these ascending indices; without a copy where these are all of them."""
    return data.images if len(rows) == len(data) else data.images[rows]


class PseudoLabelState(nn.Module):
    """The pseudo-labels of a run with several rounds; a `PseudoLabelSource`.

    The current pseudo-labels are buffers, so that they are saved with the run and a resumed run continues with them.

    Where the discriminator's hidden layers are not finite, the pseudo-labels of the round before are kept.

    Args:
        pseudo_labeling: the settings.
        data: the training images; only the labels of the split are read.
        split: which images have labels.
        epochs: of the run.
        batch_size: of the unlabeled images in a step.
        discriminator: returns the network whose hidden layers give the graph, in its state at the time of the call.
        positions: (H * W, 2) the pixel layout; None: rows and columns.
    """

    round: Tensor
    classes: Tensor
    first_probabilities: Tensor | None

    def __init__(
        self,
        pseudo_labeling: PseudoLabeling,
        data: LabeledImages,
        split: LabelSplit,
        *,
        epochs: int,
        batch_size: int,
        discriminator: Callable[[], nn.Module],
        positions: Tensor | None = None,
    ) -> None:
        super().__init__()
        self._pseudo_labeling, self._data, self._split, self._epochs = pseudo_labeling, data, split, epochs
        self._batch_size, self._discriminator, self._positions = batch_size, discriminator, positions
        self.register_buffer("round", torch.tensor(-1))
        self.register_buffer("classes", torch.full((len(data),), -1, dtype=torch.int16))  # -1: no pseudo-label
        mixed = pseudo_labeling.max_displacement is not None and pseudo_labeling.num_rounds > 1
        class_probabilities = torch.zeros(len(data), max(split.labels) + 1) if mixed else None
        self.register_buffer("first_probabilities", class_probabilities)

    @property
    def batch_size(self) -> int:
        """Pseudo-labeled images per step."""
        return self._pseudo_labeling.batch_size

    def at(self, epoch: int) -> PseudoLabels | None:
        """The pseudo-labels of an epoch; those of a round are computed at its first epoch."""
        number = self._pseudo_labeling.round_at(epoch, self._epochs)
        if number is None:
            return None
        if number != int(self.round):
            self._renew(number)
        rows = (self.classes >= 0).nonzero().flatten()
        return PseudoLabels(rows, self.classes[rows].long(), self.batch_size, self._epochs)

    def _renew(self, number: int) -> None:
        rows, labels = labels_of_split(self._data, self._split)
        pseudo_labeling, first = self._pseudo_labeling, self.first_probabilities
        if number == 0:
            class_probabilities = pseudo_labeling.class_probabilities(
                images_at(self._data, rows), labels, self._positions
            ).cpu()
            if first is not None:
                first[rows] = class_probabilities.float()
        else:
            layers = self._layers(rows)
            if not all(bool(layer.isfinite().all()) for layer in layers):
                return  # a run that diverged, beside others that did not: it keeps its pseudo-labels
            class_probabilities = pseudo_labeling.probabilities_from_features(layers, labels.to(layers[0].device)).cpu()
            if first is not None:
                class_probabilities = (class_probabilities + first[rows]) / 2
        confident_fraction = (
            pseudo_labeling.later_fraction
            if number and pseudo_labeling.later_fraction is not None
            else pseudo_labeling.confident_fraction
        )
        confident, classes = pseudo_labeling.most_confident(class_probabilities, confident_fraction)
        self.classes.fill_(-1)
        self.classes[rows[confident]] = classes.to(self.classes.dtype)
        self.round.fill_(number)

    @torch.no_grad()
    def _layers(self, rows: Tensor) -> list[Tensor]:
        """The hidden layers that give the graph, (N, A_i) float32 each.

        A network that is not batch-independent gets batches of the size of training, in a fixed random order.
        """
        network = self._discriminator().eval()
        assert isinstance(network, Discriminator)
        device, independent = next(network.parameters()).device, network.is_batch_independent
        order, batch_size = torch.arange(len(rows)), self._batch_size
        if independent:
            batch_size = evaluation_batch_size(network, self._data.images.shape[1:])
        else:
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))

        def of(some: Tensor) -> list[Tensor]:
            images = to_float01(self._data.images[some].to(device))
            layers = network.hidden_layers(images) or [images]
            chosen = sorted({min(index, len(layers) - 1) for index in self._pseudo_labeling.graph_layers})
            return [layers[index].flatten(1).float() for index in chosen]

        with single_process():
            parts = [of(some) for some in torch.split(rows[order], batch_size)]
        back = order.argsort().to(device)
        return [torch.cat(layer)[back] for layer in zip(*parts, strict=True)]

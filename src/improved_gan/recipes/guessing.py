"""Guessed labels for the beginning of a run, or of each of its rounds: spread from the few true ones over a graph.

In the first round neighbours are near in the images, in pixels or when these may move a little; in later ones in hidden
layers of the discriminator, whose neighbours agree better (Iscen et al., 2019, "Label propagation for deep
semi-supervised learning", who renew guesses every epoch). Guesses may rest in the second part of each round, so that
what was learnt from them by heart is forgotten before the next are made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.data import Guesses, LabelledImages, LabelSplit
from improved_gan.data.dataset import unit_range
from improved_gan.distributed import alone, from_main
from improved_gan.models import Discriminator, laid_out
from improved_gan.techniques import deformation_neighbours, spread_labels, surest_of_each_class

__all__ = ["Guessing", "RenewedGuesses"]

_ROWS = 1000
_ALPHA, _LATER_ALPHA = 0.99, 0.999  # neighbours in layers are more alike, so labels may go farther


@dataclass(frozen=True)
class Guessing:
    """How a recipe guesses labels and for how long it believes them.

    Args:
        batch_size: how many images with a guessed class a step sees.
        share: of the training images, the surest of each class, 0 < share <= 1.
        duration: share of the run, or of each round, from its start, that sees them, 0 < duration <= 1.
        num_neighbours, num_components: see `techniques.spread_labels`; so many components for each layer.
        rounds: equal parts of the run; labels are spread anew at the beginning of each, from the second on over layers
            of the discriminator (with averaged weights).
        later_share: `share` from the second round on; None for the same.
        layers: which hidden layers of the discriminator, counted from 0, make the graph then, each scaled to length 1;
            the last one in place of those that it has not.
        reach: how far pixels may move where neighbours are looked for in the images, see
            `techniques.deformation_neighbours`; None: among principal components, which know no places.

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
        rows, labels = _known(data, split)
        places, classes = self.spread(_images(data, rows), labels, positions)
        return Guesses(rows[places], classes, self.batch_size, self.num_epochs(epochs))

    def spread(self, images: Tensor, labels: Tensor, positions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Guess the classes of images, as in the first round.

        Args:
            images: (N, ...) of a real dtype, with `reach` (N, C, H, W); their scale does not matter.
            labels: (N,) int64 classes, -1 where there is no label.
            positions: (H * W, 2) where pixels lie, for `reach`; None: in rows and columns.

        Returns:
            (M,) places of the surest share of each class among the images, and (M,) their classes, int64.
        """
        neighbours = None
        if self.reach is not None:
            number = min(self.num_neighbours, len(images) - 1)
            neighbours = deformation_neighbours(
                images if positions is None else laid_out(images, positions), number, reach=self.reach
            )
        return self._surest(images, labels, self.num_components, _ALPHA, self.share, neighbours)

    def spread_over_layers(self, layers: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
        """The same as in the later rounds.

        Args:
            layers: of the discriminator, (N, A_i) each.
            labels: (N,) int64 classes, -1 where there is no label.
        """
        beside = torch.cat([F.normalize(layer) for layer in layers], 1)
        num_components, share = len(layers) * self.num_components, self.later_share or self.share
        return self._surest(beside, labels, num_components, _LATER_ALPHA, share)

    def _surest(
        self,
        points: Tensor,
        labels: Tensor,
        num_components: int,
        alpha: float,
        share: float,
        neighbours: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        probabilities = spread_labels(
            points,
            labels,
            num_neighbours=min(self.num_neighbours, len(points) - 1),
            num_components=num_components,
            alpha=alpha,
            neighbours=neighbours,
        )
        probabilities = from_main(probabilities)  # the same in all processes, to the last bit
        surest = surest_of_each_class(probabilities, share)
        return surest, probabilities.argmax(1)[surest]

    def num_epochs(self, epochs: int) -> int:
        """How many epochs of a run, or of each of its rounds, see the guesses."""
        return max(1, round(self.duration * epochs / min(self.rounds, epochs)))

    def round_at(self, epoch: int, epochs: int) -> int | None:
        """The round, from 0, whose guesses an epoch of the run sees; None where they rest. No round is without epochs.

        >>> [Guessing(rounds=2, duration=0.5).round_at(epoch, 8) for epoch in range(8)]
        [0, 0, None, None, 1, 1, None, None]
        """
        rounds = min(self.rounds, epochs)
        starts = [round(number * epochs / rounds) for number in range(rounds)]
        latest = max(number for number, start in enumerate(starts) if start <= epoch)
        return latest if epoch - starts[latest] < self.num_epochs(epochs) else None


class RenewedGuesses(nn.Module):
    """The guesses of a run with several rounds; a `GuessSource`.

    What is guessed at present stands in buffers, so that it is saved with the run and a later start goes on with it.

    Where the discriminator's layers are not finite the guesses stay as they are.

    Args:
        guessing: how.
        data: the training images; only the labels of the split are read.
        split: which images have labels.
        epochs: of the run.
        batch_size: of the unlabelled images in a step.
        discriminator: gives the network whose layers make the graph, as it is when it is asked for.
        positions: (H * W, 2) where pixels lie; None: in rows and columns.
    """

    round: Tensor
    classes: Tensor

    def __init__(
        self,
        guessing: Guessing,
        data: LabelledImages,
        split: LabelSplit,
        *,
        epochs: int,
        batch_size: int,
        discriminator: Callable[[], nn.Module],
        positions: Tensor | None = None,
    ) -> None:
        super().__init__()
        self._guessing, self._data, self._split, self._epochs = guessing, data, split, epochs
        self._batch_size, self._discriminator, self._positions = batch_size, discriminator, positions
        self.register_buffer("round", torch.tensor(-1))
        self.register_buffer("classes", torch.full((len(data),), -1, dtype=torch.int16))  # -1: no guess

    @property
    def batch_size(self) -> int:
        """How many guessed images a step sees."""
        return self._guessing.batch_size

    def at(self, epoch: int) -> Guesses | None:
        """The guesses of an epoch; its round's are made when it is first asked for."""
        number = self._guessing.round_at(epoch, self._epochs)
        if number is None:
            return None
        if number != int(self.round):
            self._renew(number)
        rows = (self.classes >= 0).nonzero().flatten()
        return Guesses(rows, self.classes[rows].long(), self.batch_size, self._epochs)

    def _renew(self, number: int) -> None:
        rows, labels = _known(self._data, self._split)
        if number == 0:
            places, classes = self._guessing.spread(_images(self._data, rows), labels, self._positions)
        else:
            layers = self._layers(rows)
            if not all(bool(layer.isfinite().all()) for layer in layers):
                return  # a run that diverged, beside others that did not: it keeps the guesses that it has
            places, classes = self._guessing.spread_over_layers(layers, labels.to(layers[0].device))
        self.classes.fill_(-1)
        self.classes[rows[places.cpu()]] = classes.cpu().to(self.classes.dtype)
        self.round.fill_(number)

    @torch.no_grad()
    def _layers(self, rows: Tensor) -> list[Tensor]:
        """The layers that make the graph, (N, A_i) float32 each.

        A network that looks across the batch sees batches as in training, in a fixed random order.
        """
        network = self._discriminator().eval()
        assert isinstance(network, Discriminator)
        device, single = next(network.parameters()).device, network.independent_rows
        order = (
            torch.arange(len(rows)) if single else torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        )

        def of(some: Tensor) -> list[Tensor]:
            images = unit_range(self._data.images[some].to(device))
            layers = network.hidden_layers(images) or [images]
            chosen = sorted({min(index, len(layers) - 1) for index in self._guessing.layers})
            return [layers[index].flatten(1).float() for index in chosen]

        with alone():
            parts = [of(some) for some in torch.split(rows[order], _ROWS if single else self._batch_size)]
        back = order.argsort().to(device)
        return [torch.cat(layer)[back] for layer in zip(*parts, strict=True)]


def _known(data: LabelledImages, split: LabelSplit) -> tuple[Tensor, Tensor]:
    """(N,) positions that training may see, and (N,) their classes, -1 for those without a label in the split."""
    labels = torch.full((len(data),), -1)
    labels[list(split.indices)] = torch.tensor(split.labels)
    rows = split.training_indices()
    return rows, labels[rows]


def _images(data: LabelledImages, rows: Tensor) -> Tensor:
    """The images at these ascending positions; all of them as they are, perhaps mapped from a file."""
    return data.images if len(rows) == len(data) else data.images[rows]

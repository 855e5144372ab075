"""PseudoLabels that are made at the beginning of each round of a run, and saved with it, see `PseudoLabeling`."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from improved_gan.data import LabeledImages, LabelSplit, PseudoLabels
from improved_gan.data.dataset import to_float01
from improved_gan.distributed import single_process
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling, images_at, labels_of_split
from improved_gan.networks import Discriminator

__all__ = ["PseudoLabelState"]

_ROWS = 1000


class PseudoLabelState(nn.Module):
    """The guesses of a run with several rounds; a `PseudoLabelSource`.

    What is guessed at present stands in buffers, so that it is saved with the run and a later start goes on with it.

    Where the discriminator's layers are not finite the guesses stay as they are.

    Args:
        pseudo_labeling: how.
        data: the training images; only the labels of the split are read.
        split: which images have labels.
        epochs: of the run.
        batch_size: of the unlabeled images in a step.
        discriminator: gives the network whose layers make the graph, as it is when it is asked for.
        positions: (H * W, 2) where pixels lie; None: in rows and columns.
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
        self.register_buffer("classes", torch.full((len(data),), -1, dtype=torch.int16))  # -1: no guess
        mixed = pseudo_labeling.max_displacement is not None and pseudo_labeling.num_rounds > 1
        class_probabilities = torch.zeros(len(data), max(split.labels) + 1) if mixed else None
        self.register_buffer("first_probabilities", class_probabilities)

    @property
    def batch_size(self) -> int:
        """How many guessed images a step sees."""
        return self._pseudo_labeling.batch_size

    def at(self, epoch: int) -> PseudoLabels | None:
        """The guesses of an epoch; its round's are made when it is first asked for."""
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
            graph_layers = self._layers(rows)
            if not all(bool(layer.isfinite().all()) for layer in graph_layers):
                return  # a run that diverged, beside others that did not: it keeps the guesses that it has
            class_probabilities = pseudo_labeling.probabilities_from_features(
                graph_layers, labels.to(graph_layers[0].device)
            ).cpu()
            if first is not None:
                class_probabilities = (class_probabilities + first[rows]) / 2
        confident_fraction = (
            pseudo_labeling.later_fraction
            if number and pseudo_labeling.later_fraction is not None
            else pseudo_labeling.confident_fraction
        )
        places, classes = pseudo_labeling.most_confident(class_probabilities, confident_fraction)
        self.classes.fill_(-1)
        self.classes[rows[places]] = classes.to(self.classes.dtype)
        self.round.fill_(number)

    @torch.no_grad()
    def _layers(self, rows: Tensor) -> list[Tensor]:
        """The layers that make the graph, (N, A_i) float32 each.

        A network that looks across the batch sees batches as in training, in a fixed random order.
        """
        network = self._discriminator().eval()
        assert isinstance(network, Discriminator)
        device, single = next(network.parameters()).device, network.is_batch_independent
        order = (
            torch.arange(len(rows)) if single else torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        )

        def of(some: Tensor) -> list[Tensor]:
            images = to_float01(self._data.images[some].to(device))
            graph_layers = network.hidden_layers(images) or [images]
            chosen = sorted({min(index, len(graph_layers) - 1) for index in self._pseudo_labeling.graph_layers})
            return [graph_layers[index].flatten(1).float() for index in chosen]

        with single_process():
            parts = [of(some) for some in torch.split(rows[order], _ROWS if single else self._batch_size)]
        back = order.argsort().to(device)
        return [torch.cat(layer)[back] for layer in zip(*parts, strict=True)]

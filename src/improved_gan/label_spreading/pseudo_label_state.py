"""Pseudo-labels that are computed at the beginning of each round of a run and saved with it, see `PseudoLabeling`."""

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
        order = torch.arange(len(rows))
        if not independent:
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))

        def of(some: Tensor) -> list[Tensor]:
            images = to_float01(self._data.images[some].to(device))
            layers = network.hidden_layers(images) or [images]
            chosen = sorted({min(index, len(layers) - 1) for index in self._pseudo_labeling.graph_layers})
            return [layers[index].flatten(1).float() for index in chosen]

        with single_process():
            parts = [of(some) for some in torch.split(rows[order], _ROWS if independent else self._batch_size)]
        back = order.argsort().to(device)
        return [torch.cat(layer)[back] for layer in zip(*parts, strict=True)]

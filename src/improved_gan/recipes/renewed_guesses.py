"""Guesses that are made at the beginning of each round of a run, and saved with it, see `Guessing`."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from improved_gan.data import Guesses, LabelledImages, LabelSplit
from improved_gan.data.dataset import unit_range
from improved_gan.distributed import alone
from improved_gan.models import Discriminator
from improved_gan.recipes.guessing import Guessing, images_at, known_labels

__all__ = ["RenewedGuesses"]

_ROWS = 1000


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
    first_answers: Tensor | None

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
        mixed = guessing.reach is not None and guessing.rounds > 1
        answers = torch.zeros(len(data), max(split.labels) + 1) if mixed else None
        self.register_buffer("first_answers", answers)

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
        rows, labels = known_labels(self._data, self._split)
        guessing, first = self._guessing, self.first_answers
        if number == 0:
            answers = guessing.answers(images_at(self._data, rows), labels, self._positions).cpu()
            if first is not None:
                first[rows] = answers.float()
        else:
            layers = self._layers(rows)
            if not all(bool(layer.isfinite().all()) for layer in layers):
                return  # a run that diverged, beside others that did not: it keeps the guesses that it has
            answers = guessing.answers_over_layers(layers, labels.to(layers[0].device)).cpu()
            if first is not None:
                answers = (answers + first[rows]) / 2
        share = guessing.later_share if number and guessing.later_share is not None else guessing.share
        places, classes = guessing.surest(answers, share)
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

"""The tiny run whose log is kept, and what may change it.

Networks without noise and latents from a list: nothing depends on in which order random numbers are drawn, so a faster
step or another source of noise does not move the log. Everything else is as in a real run: batches, data-dependent
start, both losses, Adam, averaging, evaluation, the log itself. An epoch has one step, so that each has its line.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.data import Dataset, load_digits
from improved_gan.data.dataset import LabelledImages
from improved_gan.models import DenseDiscriminator, DenseGenerator, Generator, PlacedDiscriminator
from improved_gan.recipes import Recipe, digits
from improved_gan.recipes.deforming import Deforming
from improved_gan.recipes.guessing import Guessing
from improved_gan.training import Regularised

NUM_STEPS, BATCH = 20, 100


class ListedLatents(Generator):
    """A dense generator whose latents come one after the other from a fixed list, however many are drawn at a time."""

    def __init__(self, image_shape: Sequence[int], latent_size: int) -> None:
        super().__init__()
        self.network = DenseGenerator(image_shape, latent_size=latent_size, hidden=(24, 24))
        self.register_buffer("listed", torch.rand(NUM_STEPS * 2 * BATCH, latent_size), persistent=False)
        self.num_drawn = 0

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        if source is not None:  # for pictures and monitors
            return self.network.draw_latents(num, source=source)
        self.num_drawn += num
        return self.listed[self.num_drawn - num : self.num_drawn]

    def forward(self, latents: Tensor) -> Tensor:
        return self.network(latents)


def golden_recipe() -> Recipe:
    return replace(
        digits(),
        name="golden",
        load_data=_some_digits,
        generator=partial(ListedLatents, image_shape=(1, 8, 8), latent_size=10),
        discriminator=partial(
            DenseDiscriminator, image_shape=(1, 8, 8), num_classes=10, hidden=(32, 24), input_noise=0, hidden_noise=0
        ),
        batch_size=BATCH,
        epochs=NUM_STEPS,
        average_decay=0.9,
        report_every=1,
        sample_every=NUM_STEPS,
        num_start_images=BATCH,
    )


def golden_recipe_of_guesses() -> Recipe:
    """What `mnist-best` is made of: learnt positions, convolutions, guesses of two rounds, forms of digits; no game.

    It draws noise, forms and guessed rows, so its log also moves when these are drawn in another order.
    """
    return replace(
        golden_recipe(),
        name="golden-guesses",
        load_data=_framed_digits,
        generator=partial(ListedLatents, image_shape=(1, 10, 10), latent_size=10),
        discriminator=partial(PlacedDiscriminator, image_shape=(1, 10, 10), num_classes=10),
        objective=Regularised(adversarial_weight=0.0, entropy_weight=0.1, balance_weight=0.1),
        labelled_batch_size=20,
        guessing=Guessing(batch_size=30, share=0.9, duration=1.0, num_neighbours=4, reach=1, rounds=2),
        deforming=Deforming(rotation=0.1, stretch=0.05, slant=0.1, shift=0.5, bend=0.3, learn_positions=True),
    )


def _framed_digits(folder: Path | None) -> Dataset:
    """The same within a black frame: the convolutions want nine pixels a side."""
    data = _some_digits(folder)
    train, test = (LabelledImages(F.pad(one.images, (1, 1, 1, 1)), one.labels) for one in (data.train, data.test))
    return replace(data, train=train, test=test)


def _some_digits(folder: Path | None) -> Dataset:
    """As many training images as one batch, so that an epoch is one step; the labels are balanced."""
    data = load_digits()
    first = [index for one in range(10) for index in (data.train.labels == one).nonzero().flatten()[:10].tolist()]
    train = LabelledImages(data.train.images[first], data.train.labels[first])
    return replace(data, train=train, test=LabelledImages(data.test.images[:200], data.test.labels[:200]))

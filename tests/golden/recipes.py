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
from torch import Tensor

from improved_gan.data import Dataset, load_digits
from improved_gan.data.dataset import LabelledImages
from improved_gan.models import DenseDiscriminator, DenseGenerator, Generator
from improved_gan.recipes import Recipe, digits

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


def _some_digits(folder: Path | None) -> Dataset:
    """As many training images as one batch, so that an epoch is one step; the labels are balanced."""
    data = load_digits()
    first = [index for one in range(10) for index in (data.train.labels == one).nonzero().flatten()[:10].tolist()]
    train = LabelledImages(data.train.images[first], data.train.labels[first])
    return replace(data, train=train, test=LabelledImages(data.test.images[:200], data.test.labels[:200]))

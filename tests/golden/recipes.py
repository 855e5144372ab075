"""The tiny runs whose logs are golden files.

The first has networks without noise and latents from a list: nothing depends on the order in which random numbers are
drawn, so a faster step or another source of noise does not change the log. Everything else is as in a real run:
batches, data-dependent initialization, both losses, Adam, averaging, evaluation, the log itself. An epoch has one step,
so that each step has a line.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.data import Dataset, load_digits
from improved_gan.data.dataset import LabeledImages
from improved_gan.label_spreading import LayoutConvDiscriminator, VirtualAdversarialObjective
from improved_gan.label_spreading.augmentation import Augmentation
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling
from improved_gan.networks import DenseDiscriminator, DenseGenerator, Generator
from improved_gan.recipes import Recipe, digits

NUM_STEPS, BATCH = 20, 100


class ListedLatents(Generator):
    """A dense generator whose latents come from a fixed list in order, however many are drawn at a time."""

    def __init__(self, image_shape: Sequence[int], latent_size: int) -> None:
        super().__init__()
        self.network = DenseGenerator(image_shape, latent_size=latent_size, hidden=(24, 24))
        self.register_buffer("listed", torch.rand(NUM_STEPS * 2 * BATCH, latent_size), persistent=False)
        self.num_drawn = 0

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        if source is not None:  # for sample grids and monitors
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
        ema_decay=0.9,
        report_every=1,
        sample_every=NUM_STEPS,
        init_batch_size=BATCH,
    )


def golden_recipe_of_pseudo_labels() -> Recipe:
    """A small `mnist-graph-two-rounds`: learned pixel layout, convolutions, two rounds of pseudo-labels, augmentation.

    It draws noise, augmentations and pseudo-labeled rows, so its log also changes if these are drawn in another order.
    The network is narrow: with the usual widths some of a million leaky ReLU inputs are so near 0 that rounding decides
    their gradient, and initial weights changed by 2e-7 changed the log by 5e-2 in three of eight trials.
    """
    return replace(
        golden_recipe(),
        name="golden-pseudo-labels",
        load_data=_framed_digits,
        generator=partial(ListedLatents, image_shape=(1, 10, 10), latent_size=10),
        discriminator=partial(
            LayoutConvDiscriminator, image_shape=(1, 10, 10), num_classes=10, widths=(4, 8, 8), num_features=16
        ),
        objective=VirtualAdversarialObjective(adversarial_weight=0.0, entropy_weight=0.1, marginal_entropy_weight=0.1),
        labeled_batch_size=20,
        pseudo_labeling=PseudoLabeling(
            batch_size=30,
            confident_fraction=0.9,
            active_fraction=1.0,
            num_neighbors=4,
            max_displacement=1,
            num_rounds=2,
        ),
        augmentation=Augmentation(
            rotation=0.1, scale=0.05, shear=0.1, translate=0.5, elastic_std=0.3, learn_positions=True
        ),
    )


def _framed_digits(folder: Path | None) -> Dataset:
    """The same with a black border: the convolutions need nine pixels a side."""
    data = _some_digits(folder)
    train, test = (LabeledImages(F.pad(one.images, (1, 1, 1, 1)), one.labels) for one in (data.train, data.test))
    return replace(data, train=train, test=test)


def _some_digits(folder: Path | None) -> Dataset:
    """As many training images as one batch, so that an epoch is one step; the labels are balanced."""
    data = load_digits()
    first = [index for one in range(10) for index in (data.train.labels == one).nonzero().flatten()[:10].tolist()]
    train = LabeledImages(data.train.images[first], data.train.labels[first])
    return replace(data, train=train, test=LabeledImages(data.test.images[:200], data.test.labels[:200]))

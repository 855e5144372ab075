"""The recipe `cifar10` at a sixth of its width and 12 of its 1001 epochs, for half an hour of one CPU core.

    improved-gan train benchmarks/cifar10_narrow.py --labels 4000 --data DIR --threads 1 --out runs/cifar10-narrow

A recipe file (README, "A recipe of your own"). The learning rate is higher and decays sooner because the run is short;
neither was tuned.
"""

from dataclasses import replace
from functools import partial

from improved_gan.networks import ConvolutionalDiscriminator, ConvolutionalGenerator
from improved_gan.recipes import Recipe, cifar10

IMAGE = (3, 32, 32)


def recipe(labels: int | None = None) -> Recipe:
    """Semi-supervised CIFAR-10 with networks of 16 and 32 channels in D."""
    return replace(
        cifar10(labels),
        name="cifar10-narrow",
        generator=partial(ConvolutionalGenerator, image_shape=IMAGE, widths=(64, 32, 16)),
        discriminator=partial(ConvolutionalDiscriminator, image_shape=IMAGE, num_classes=10, widths=(16, 32)),
        epochs=12,
        learning_rate=0.001,
        lr_decay_fraction=0.5,
        ema_decay=0.99,
        sample_every=3,
    )

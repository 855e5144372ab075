"""The recipe `cifar10-generation` at a sixth of its width and 10 of its 500 epochs, for an hour of one CPU core.

    improved-gan train benchmarks/cifar10_generation_narrow.py --data DIR --threads 1 --out runs/cifar10-generation
    improved-gan sample runs/cifar10-generation --num 2500 --out runs/cifar10-generation/images

A recipe file (README, "A recipe of your own"). Samples are drawn with averaged weights of G.
Nothing was tuned.
"""

from dataclasses import replace
from functools import partial

from improved_gan.recipes.cifar10 import (
    IMAGE,
    PAPER_DISCRIMINATOR,
    PAPER_KERNELS,
    UNINITIALIZED_GENERATOR,
    cifar10_generation,
)
from improved_gan.recipes.recipe import Recipe


def recipe(labels: int | None = None) -> Recipe:
    """CIFAR-10 samples with minibatch discrimination, networks of 16 and 32 channels in D."""
    kernels = {"input_dropout": 0.0, "input_noise": 0.2, "minibatch": PAPER_KERNELS}
    return replace(
        cifar10_generation(labels),
        name="cifar10-generation-narrow",
        generator=partial(UNINITIALIZED_GENERATOR, image_shape=IMAGE, widths=(64, 32, 16)),
        discriminator=partial(PAPER_DISCRIMINATOR, image_shape=IMAGE, num_classes=10, widths=(16, 32), **kernels),
        epochs=10,
        generator_ema_decay=0.999,
        precision="float32",
        sample_every=2,
    )

"""The supervised baseline of `cifar10_narrow.py`: its discriminator, trained as long on the labeled images alone.

improved-gan train benchmarks/cifar10_narrow_supervised.py --labels 4000 --data DATA --out DIR
"""

from dataclasses import replace
from functools import partial

from improved_gan.networks import ConvolutionalDiscriminator
from improved_gan.recipes import Recipe, cifar10_supervised

IMAGE = (3, 32, 32)


def recipe(labels: int | None = None) -> Recipe:
    """CIFAR-10 from the labeled images alone, 16 and 32 channels."""
    return replace(
        cifar10_supervised(labels),
        name="cifar10-narrow-supervised",
        discriminator=partial(ConvolutionalDiscriminator, image_shape=IMAGE, num_classes=10, widths=(16, 32)),
        epochs=12,
        learning_rate=0.001,
        lr_decay_fraction=0.5,
        ema_decay=0.99,
        sample_every=3,
    )

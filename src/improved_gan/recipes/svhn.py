"""SVHN from 500, 1000 or 2000 labels, and its samples (paper, section 6.3): CIFAR-10's networks with fewer channels."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from improved_gan.data import Dataset
from improved_gan.data.svhn import load_svhn
from improved_gan.networks import ConvolutionalDiscriminator
from improved_gan.recipes.cifar10 import IMAGE, RELEASED_KERNELS, cifar10, cifar10_generation
from improved_gan.recipes.recipe import Recipe

__all__ = ["svhn", "svhn_generation"]

_WIDTHS = (64, 128)
# Test error in %, mean and standard deviation over ten label subsets (paper, section 6.3).
_PAPER = {500: "18.44 ± 4.8", 1000: "8.11 ± 1.3", 2000: "6.16 ± 0.58"}


def svhn(labels: int | None = None) -> Recipe:
    """Semi-supervised SVHN: 900 epochs, the last 300 at a falling rate.

    Table of section 6.3, "our model". Expected: the paper's figures. Measured: not yet.

    Args:
        labels: the number of labels; default 1000. The paper has 500, 1000 and 2000.
    """
    num_labels = 1000 if labels is None else labels
    figure = _PAPER.get(num_labels)
    return replace(
        cifar10(num_labels),
        name="svhn",
        summary="street view house numbers, 73,257 images of 32x32, convolutional networks, released settings",
        load_data=_load,
        discriminator=partial(ConvolutionalDiscriminator, image_shape=IMAGE, num_classes=10, widths=_WIDTHS),
        epochs=900,
        paper=f"{figure}% wrong" if figure else "not in the paper",
    )


def svhn_generation(labels: int | None = None) -> Recipe:
    """SVHN samples: `cifar10-generation` with SVHN's widths and number of epochs.

    Section 6.3, figure 5. Expected: no figure. Measured: not yet.

    Args:
        labels: the number of labels; default 1000.
    """
    return replace(
        cifar10_generation(1000 if labels is None else labels),
        name="svhn-generation",
        summary="street view house numbers, samples: minibatch discrimination, labels as K+1 classes",
        load_data=_load,
        discriminator=partial(
            ConvolutionalDiscriminator,
            image_shape=IMAGE,
            num_classes=10,
            widths=_WIDTHS,
            input_dropout=0.0,
            input_noise=0.2,
            minibatch=RELEASED_KERNELS,
        ),
        epochs=900,
        paper="not in the paper",
    )


def _load(folder: Path | None) -> Dataset:
    return load_svhn(folder)

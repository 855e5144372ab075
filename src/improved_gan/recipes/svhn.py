"""SVHN from 500, 1000 or 2000 labels, and its samples (paper, section 6.3): CIFAR-10's networks with fewer channels.

`svhn` and `svhn-generation` have the settings of the authors' scripts of the paper's date, those with `-released` the
settings of their last release (docs/history.md).
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from improved_gan.data.dataset import Dataset
from improved_gan.data.svhn import load_svhn
from improved_gan.networks.convolutional import ConvolutionalDiscriminator
from improved_gan.recipes.cifar10 import (
    IMAGE,
    PAPER_DISCRIMINATOR,
    cifar10,
    cifar10_generation,
    cifar10_generation_released,
    cifar10_released,
)
from improved_gan.recipes.recipe import Recipe

__all__ = ["svhn", "svhn_generation", "svhn_generation_released", "svhn_released"]

_WIDTHS = (64, 128)
_NUM_IMAGES = 73_257
# Test error in %, mean and standard deviation over ten label subsets (paper, section 6.3).
_PAPER = {500: "18.44 ± 4.8", 1000: "8.11 ± 1.3", 2000: "6.16 ± 0.58"}


def svhn(labels: int | None = None) -> Recipe:
    """Semi-supervised SVHN: 501 epochs at a constant rate of 0.0003.

    The settings of the authors' script of 8 June 2016 (commit 8be79d0), see `cifar10`; its default of 400 labels a
    class became 100, as here, on 12 June. Table of section 6.3, "our model". Expected: the paper's figures. Measured:
    not yet.

    Args:
        labels: the number of labels; default 1000. The paper has 500, 1000 and 2000.
    """
    return replace(
        cifar10(1000 if labels is None else labels),
        name="svhn",
        summary="street view house numbers, 73,257 images, convolutional networks, settings of the paper's date",
        load_data=_load,
        discriminator=partial(PAPER_DISCRIMINATOR, image_shape=IMAGE, num_classes=10, widths=_WIDTHS),
        epochs=501,
        paper=_figure(labels),
    )


def svhn_released(labels: int | None = None) -> Recipe:
    """`svhn` with the settings of the authors' last release: 900 epochs, the last 300 at a falling rate.

    Table of section 6.3, "our model". Expected: the paper's figures. Measured: not yet.

    Args:
        labels: the number of labels; default 1000. The paper has 500, 1000 and 2000.
    """
    return replace(
        cifar10_released(1000 if labels is None else labels),
        name="svhn-released",
        summary="street view house numbers, convolutional networks, settings of the authors' last release",
        load_data=_load,
        discriminator=partial(ConvolutionalDiscriminator, image_shape=IMAGE, num_classes=10, widths=_WIDTHS),
        epochs=900,
        paper=_figure(labels),
    )


def svhn_generation(labels: int | None = None) -> Recipe:
    """SVHN samples: `cifar10-generation` on SVHN, with CIFAR-10's widths and number of epochs, and all labels.

    The settings of the authors' script of 8 June 2016 (commit 8be79d0). Section 6.3, figure 5. Expected: no figure.
    Measured: not yet.

    Args:
        labels: the number of labels; default all of them.
    """
    return replace(
        cifar10_generation(_NUM_IMAGES if labels is None else labels),
        name="svhn-generation",
        summary="street view house numbers, samples: minibatch discrimination, all labels as K+1 classes",
        load_data=_load,
        labels_as_given=labels is None,
        paper="not in the paper",
    )


def svhn_generation_released(labels: int | None = None) -> Recipe:
    """`svhn-generation` with the settings of the authors' last release: 900 epochs, the last 300 falling; 1000 labels.

    D has the widths of CIFAR-10 (96 and 192), as at the paper's date; in between (4c858bb, 12 June 2016) the script had
    501 epochs at a constant rate.

    Section 6.3, figure 5. Expected: no figure. Measured: not yet.

    Args:
        labels: the number of labels; default 1000.
    """
    return replace(
        cifar10_generation_released(1000 if labels is None else labels),
        name="svhn-generation-released",
        summary="street view house numbers, samples: minibatch discrimination, settings of the authors' last release",
        load_data=_load,
        epochs=900,
        paper="not in the paper",
    )


def _figure(labels: int | None) -> str:
    figure = _PAPER.get(1000 if labels is None else labels)
    return f"{figure}% wrong" if figure else "not in the paper"


def _load(folder: Path | None) -> Dataset:
    return load_svhn(folder)

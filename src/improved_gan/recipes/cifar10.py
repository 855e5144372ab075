"""CIFAR-10 from 1000, 2000, 4000 or 8000 labels, and its samples (paper, section 6.2; settings of the release)."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from improved_gan.data import Dataset
from improved_gan.data.cifar10 import load_cifar10
from improved_gan.networks import ConvolutionalDiscriminator, ConvolutionalGenerator
from improved_gan.recipes.recipe import AUTO, Recipe
from improved_gan.techniques import MinibatchDiscrimination, feature_matching_loss, minimax_generator_loss
from improved_gan.training import Adversarial, SemiSupervised, SupervisedBaseline

__all__ = ["IMAGE", "RELEASED_KERNELS", "cifar10", "cifar10_generation", "cifar10_supervised"]

IMAGE = (3, 32, 32)
RELEASED_KERNELS = partial(MinibatchDiscrimination, num_kernels=100, kernel_dim=5, variant="released")
# Test error in %, mean and standard deviation over ten label subsets (paper, table 2).
_PAPER = {1000: "21.83 ± 2.01", 2000: "19.61 ± 2.09", 4000: "18.63 ± 2.32", 8000: "17.72 ± 1.82"}


def cifar10(labels: int | None = None) -> Recipe:
    """Semi-supervised CIFAR-10: feature matching of absolute differences, 1200 epochs, the last 400 at a falling rate.

    Table 2, "our model". Expected: the paper's figures. Measured at full width: not yet (a step takes seconds on a CPU
    core: 600,000 of them need a GPU).

    Args:
        labels: the number of labels; default 4000. The paper has 1000, 2000, 4000 and 8000.
    """
    num_labels = 4000 if labels is None else labels
    figure = _PAPER.get(num_labels)
    return Recipe(
        name="cifar10",
        summary="CIFAR-10, 50,000 images of 32x32, convolutional networks, settings of the released experiment",
        load_data=_load,
        num_labels=num_labels,
        generator=partial(ConvolutionalGenerator, image_shape=IMAGE),
        discriminator=partial(ConvolutionalDiscriminator, image_shape=IMAGE, num_classes=10),
        objective=SemiSupervised(generator_loss=partial(feature_matching_loss, variant="released-cifar10")),
        epochs=1200,
        learning_rate=0.0003,
        lr_decay_fraction=1 / 3,
        ema_every=10,
        image_shape=IMAGE,
        num_classes=10,
        precision=AUTO,
        channels_last=True,
        paper=f"{figure}% wrong" if figure else "not in the paper",
    )


def cifar10_supervised(labels: int | None = None) -> Recipe:
    """The supervised baseline: the same discriminator, trained as long on the labeled images alone.

    Expected: no figure in the paper. Measured: narrow and short only (docs/results.md), where it is as good as the GAN.

    Args:
        labels: the number of labels; default 4000.
    """
    return replace(
        cifar10(labels),
        name="cifar10-supervised",
        summary="supervised baseline: the discriminator of `cifar10` without unlabeled images and without a GAN",
        objective=SupervisedBaseline(),
        paper="not in the paper",
    )


def cifar10_generation(labels: int | None = None) -> Recipe:
    """CIFAR-10 samples: minibatch discrimination in place of feature matching, three updates of G for each of D.

    Section 6.2, figure 4. Expected: annotators distinguish samples from real images in 78.7% of votes, where 50% is
    chance (21.3% error). Measured: not yet at full width.

    Args:
        labels: the number of labels; default 4000.
    """
    return replace(
        cifar10(labels),
        name="cifar10-generation",
        summary="CIFAR-10 samples: minibatch discrimination, input noise in place of dropout, labels as K+1 classes",
        discriminator=partial(
            ConvolutionalDiscriminator,
            image_shape=IMAGE,
            num_classes=10,
            input_dropout=0.0,
            input_noise=0.2,
            minibatch=RELEASED_KERNELS,
        ),
        objective=Adversarial(generator_loss=minimax_generator_loss, adversarial_weight=0.5, supervised_weight=1.0),
        generator_steps=3,
        paper="78.7% of annotators' votes right, where 50% is chance",
    )


def _load(folder: Path | None) -> Dataset:
    return load_cifar10(folder)

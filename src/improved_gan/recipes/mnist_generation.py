"""MNIST samples: minibatch discrimination in place of feature matching (paper, section 6.1; never released)."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from improved_gan.data import Dataset, load_mnist
from improved_gan.networks import ConvolutionalDiscriminator, ConvolutionalGenerator
from improved_gan.recipes.recipe import Recipe
from improved_gan.techniques import MinibatchDiscrimination, smoothed_discriminator_loss
from improved_gan.training import Adversarial, SupervisedBaseline

__all__ = ["mnist_classifier", "mnist_generation"]


def mnist_generation(labels: int | None = None) -> Recipe:
    """MNIST samples: convolutional networks with minibatch discrimination, one-sided label smoothing and K+1 classes.

    Section 6.1, figure 3. Expected: 52.4% of 2,000 votes right, where 50% is chance. Measured (docs/results.md):
    Inception score 7.09 of 10,000 samples with `mnist-classifier` (real test digits: 9.08), after 10.1 epochs, 42
    minutes of one core of an x86 server.

    Args:
        labels: the number of labels; default 100, as in the paper's figure.
    """
    return Recipe(
        name="mnist-generation",
        summary="MNIST samples: minibatch discrimination, one-sided label smoothing, labels as K+1 classes",
        load_data=_load,
        num_labels=100 if labels is None else labels,
        generator=partial(ConvolutionalGenerator, image_shape=(1, 28, 28), widths=(64, 32), output_std=1.0),
        discriminator=partial(
            ConvolutionalDiscriminator,
            image_shape=(1, 28, 28),
            num_classes=10,
            widths=(32, 64),
            convolutions=1,
            input_dropout=0.0,
            hidden_dropout=0.0,
            input_noise=0.3,
            minibatch=partial(MinibatchDiscrimination, num_kernels=32, kernel_dim=4, variant="released"),
        ),
        objective=Adversarial(discriminator_loss=smoothed_discriminator_loss, supervised_weight=1.0),
        epochs=20,
        batch_size=64,
        learning_rate=0.002,
        discriminator_lr_scale=1 / 3,
        adam_epsilon=1e-8,
        generator_ema_decay=0.999,
        image_shape=(1, 28, 28),
        num_classes=10,
        sample_every=1,
        paper="52.4% of annotators' 2,000 votes right, where 50% is chance",
    )


def mnist_classifier(labels: int | None = None) -> Recipe:
    """A convolutional classifier of MNIST digits, for scores of samples: `evaluate --classifier RUN`.

    Expected: no figure in the paper. Measured: test error 2.20% after 2 epochs with 50,000 labels, about three minutes
    of one busy core.

    Args:
        labels: the number of labels; default 50,000.
    """
    return replace(
        mnist_generation(50_000 if labels is None else labels),
        name="mnist-classifier",
        summary="a convolutional classifier of MNIST digits, for scores of samples",
        discriminator=partial(
            ConvolutionalDiscriminator,
            image_shape=(1, 28, 28),
            num_classes=10,
            widths=(16, 32),
            convolutions=1,
            input_dropout=0.0,
            hidden_dropout=0.0,
            input_noise=0.2,
        ),
        objective=SupervisedBaseline(),
        epochs=4,
        lr_decay_fraction=0.5,
        learning_rate=0.003,
        discriminator_lr_scale=1.0,
        ema_decay=0.99,
        generator_ema_decay=None,
        paper="not in the paper",
    )


def _load(folder: Path | None) -> Dataset:
    return load_mnist(folder)

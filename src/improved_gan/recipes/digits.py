"""The embedded 8x8 digits from 50 labels: the demo, about half a minute on two cores."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from improved_gan.data.dataset import Dataset
from improved_gan.data.digits import load_digits
from improved_gan.networks.dense import DenseDiscriminator, DenseGenerator
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.techniques.feature_matching import feature_matching_loss
from improved_gan.training.objectives import SemiSupervised, SupervisedBaseline

__all__ = ["digits", "digits_supervised"]


def digits(labels: int | None = None) -> Recipe:
    """A small version of the MNIST experiment: 8x8 images, narrower networks, fewer and smaller batches.

    Args:
        labels: the number of labels; default 50.
    """
    return Recipe(
        name="digits",
        summary="8x8 digits, 1,297 images that come with the package, dense networks; needs no download",
        load_data=_load,
        num_labels=50 if labels is None else labels,
        generator=partial(DenseGenerator, image_shape=(1, 8, 8), latent_size=50, hidden=(128, 128)),
        discriminator=partial(
            DenseDiscriminator,
            image_shape=(1, 8, 8),
            num_classes=10,
            hidden=(256, 128, 128),
            input_noise=0.2,
            hidden_noise=0.3,
        ),
        objective=SemiSupervised(generator_loss=partial(feature_matching_loss, variant="released-mnist")),
        epochs=200,
        learning_rate=0.003,
        lr_decay_fraction=0.5,
        ema_decay=0.999,
        report_every=10,
        sample_every=50,
    )


def digits_supervised(labels: int | None = None) -> Recipe:
    """The supervised baseline: the same discriminator, trained as long on the labeled images alone.

    Args:
        labels: the number of labels; default 50.
    """
    return replace(
        digits(labels),
        name="digits-supervised",
        summary="supervised baseline: the discriminator of `digits` without unlabeled images and without a GAN",
        generator=None,
        objective=SupervisedBaseline(),
    )


def _load(folder: Path | None) -> Dataset:
    if folder is not None:
        raise RecipeError("the digits come with the package and need no --data: leave it out")
    return load_digits()

"""ImageNet at 128x128 (paper, section 6.4)."""

from functools import partial
from pathlib import Path

from improved_gan.data import Dataset
from improved_gan.data.download import cache_folder
from improved_gan.data.folder import FolderOptions, load_folder
from improved_gan.networks import ImageNetDiscriminator, ImageNetGenerator, ReferenceGenerator
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.techniques import (
    MinibatchDiscrimination,
    divergence_discriminator_loss,
    divergence_generator_loss,
)
from improved_gan.training import Adversarial

__all__ = ["imagenet_128"]

_SHAPE, _NUM_CLASSES, _LABELS_A_CLASS, _BATCH = (3, 128, 128), 1000, 500, 64


def imagenet_128(labels: int | None = None) -> Recipe:
    """DCGAN-like networks with all techniques of the released ImageNet experiment, batch size 64.

    Latents at every scale, virtual batch norm in G, two-sided minibatch features, 1000 classes and "generated", alpha =
    0.75 in the divergence form. Figure 6. Expected: no number; samples with recognizable animals' fur, eyes and noses,
    but wrong anatomy. Measured: seconds and memory of a step in docs/results.md; not trained to the end yet.

    D's weights are not averaged, since its batch norm has the statistics of the current weights. The error in the log
    is computed with each batch of test images as both halves, "real" and "generated".

    Args:
        labels: the number of labels; default 500 for each of 1000 classes.
    """
    return Recipe(
        name="imagenet-128",
        summary="folders of images by class at 128x128: latents at every scale, VBN, two-sided minibatch features",
        load_data=_load,
        num_labels=_NUM_CLASSES * _LABELS_A_CLASS if labels is None else labels,
        generator=partial(ReferenceGenerator, partial(ImageNetGenerator, image_shape=_SHAPE), num_reference=_BATCH),
        discriminator=partial(
            ImageNetDiscriminator,
            image_shape=_SHAPE,
            num_classes=_NUM_CLASSES,
            minibatch=partial(MinibatchDiscrimination, num_kernels=300, kernel_dim=50),
        ),
        objective=Adversarial(
            discriminator_loss=partial(divergence_discriminator_loss, positive_target=0.75),
            generator_loss=partial(divergence_generator_loss, positive_target=0.75),
            supervised_weight=1.0,
        ),
        epochs=25,
        learning_rate=0.0004,
        adam_epsilon=1e-8,
        batch_size=_BATCH,
        ema_decay=0.0,
        init_batch_size=0,
        image_shape=_SHAPE,
        num_classes=_NUM_CLASSES,
        sample_every=1,
        paper="samples only (figure 6)",
    )


def _load(folder: Path | None) -> Dataset:
    if folder is None:
        raise RecipeError("imagenet-128 trains on a folder of images by class: name it with --data FOLDER")
    options = FolderOptions(images=folder, cache=cache_folder() / "decoded", size=_SHAPE[1], enlarge_few=True)
    return load_folder(options).dataset

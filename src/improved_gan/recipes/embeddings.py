"""Embeddings of a folder's images by a pretrained network: the dense K+1 pair on vectors instead of pixels."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from improved_gan.data.dataset import Dataset
from improved_gan.data.embeddings import EMBEDDINGS_FILE, as_embeddings, read_embeddings, read_scaling
from improved_gan.data.folder_snapshot import IMAGES_FILE, load_recorded, read_listing
from improved_gan.data.label_split import LabelSplit
from improved_gan.networks.dense import DenseDiscriminator, DenseGenerator
from improved_gan.recipes.folder import GivenData
from improved_gan.recipes.recipe import AUTO, Recipe, RecipeError
from improved_gan.techniques.feature_matching import feature_matching_loss
from improved_gan.training.objectives import SemiSupervised

__all__ = ["embeddings_again", "embeddings_for", "embeddings_recipe"]

_STEPS = 3000
_REPORTS = 20


def embeddings_for(num_features: int, *, num_classes: int, num_labels: int, num_images: int) -> Recipe:
    """The recipe for embeddings that are known: networks and settings of `mnist-released`, for a shorter time.

    Args:
        num_features: A.
        num_classes: K.
        num_labels: the number of labels.
        num_images: the number of training images, at least 2.

    Raises:
        RecipeError: fewer images.

    >>> embeddings_for(1280, num_classes=3, num_labels=30, num_images=163).batch_size
    40
    """
    if num_images < 2:
        raise RecipeError(f"training on embeddings needs two images or more; got {num_images}")
    batch_size = min(100, max(2, num_images // 4))
    batch_size -= batch_size % (4 if batch_size >= 4 else 2)  # so that it divides by 2 or 4 processes
    epochs = -(-_STEPS // (num_images // batch_size))
    shape = (1, 1, num_features)
    return Recipe(
        name="embeddings",
        summary="embeddings of your own images (train-folder --network)",
        load_data=GivenData(None),
        num_labels=num_labels,
        generator=partial(DenseGenerator, image_shape=shape),
        discriminator=partial(DenseDiscriminator, image_shape=shape, num_classes=num_classes),
        objective=SemiSupervised(generator_loss=partial(feature_matching_loss, variant="released-mnist")),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=0.003,
        ema_decay=0.995,  # of the last 200 steps: runs are short
        precision=AUTO,
        image_shape=shape,
        num_classes=num_classes,
        report_every=max(1, epochs // _REPORTS),
        sample_every=epochs,
    )


def embeddings_recipe(data: Dataset, *, num_labels: int | None) -> Recipe:
    """The recipe for the embeddings of a folder.

    Args:
        data: its embeddings.
        num_labels: the number of labels to use, balanced over the classes; None for all.

    Raises:
        RecipeError: there are no labels.
    """
    split = LabelSplit.as_given(data.train.labels, held_out=data.held_out)
    if num_labels == 0 or not split.indices or len(data.class_names) < 2:
        raise RecipeError(
            "a classifier on embeddings needs labels of two classes or more: give --labels FILE, or class folders"
        )
    recipe = embeddings_for(
        data.image_shape[2],
        num_classes=len(data.class_names),
        num_labels=len(split.indices) if num_labels is None else num_labels,
        num_images=len(split.training_indices()),
    )
    return replace(recipe, load_data=GivenData(data), labels_as_given=num_labels is None)


def embeddings_again(settings: dict[str, Any], *, run: Path) -> Recipe:
    """The recipe of an existing run, from its settings; embeddings and images are read when its data are loaded."""
    split = settings["label_split"]
    recipe = embeddings_for(
        settings["image_shape"][2],
        num_classes=len(settings["class_names"]),
        num_labels=split["num_labels"],
        num_images=split["num_images"],
    )

    def load(folder: Path | None) -> Dataset:
        data = load_recorded(folder, run=run, class_names=settings["class_names"])
        file = run / EMBEDDINGS_FILE
        return as_embeddings(data, read_listing(run / IMAGES_FILE), read_embeddings(file), read_scaling(file))[0]

    kept = ("batch_size", "report_every", "sample_every", "labels_as_given")
    return replace(recipe, load_data=GivenData(None, load), **{name: settings["values"][name] for name in kept})

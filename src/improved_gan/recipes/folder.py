"""A custom image folder at 32, 64 or 128 pixels: a semi-supervised classifier if there are labels, otherwise a GAN."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from improved_gan.data.dataset import Dataset
from improved_gan.data.folder_snapshot import load_recorded
from improved_gan.data.label_split import LabelSplit
from improved_gan.networks.convolutional import ConvolutionalDiscriminator, ConvolutionalGenerator
from improved_gan.recipes.recipe import AUTO, Recipe, RecipeError
from improved_gan.techniques.feature_matching import feature_matching_loss
from improved_gan.techniques.label_smoothing import smoothed_discriminator_loss
from improved_gan.techniques.minibatch_discrimination import MinibatchDiscrimination
from improved_gan.training.objectives import Adversarial, SemiSupervised

__all__ = ["GivenData", "folder", "folder_again", "folder_for", "folder_recipe"]

_STEPS = 20_000  # length of a run by default
_REPORTS = 100  # of a run
_WIDTHS = {32: (64, 128), 64: (32, 64, 128), 128: (16, 32, 64, 128)}  # of D; each halves the image


def folder(labels: int | None = None) -> Recipe:
    """The recipe before the images are known; `improved-gan train-folder --images DIR` fills it in.

    With labels: K+1 classes and feature matching of section 5, with the released CIFAR-10 form of the distance. Without
    labels: minibatch discrimination and one-sided label smoothing. The networks are those of section 6.2, narrower,
    with one more stage for each doubling of the image size. Not in the paper; measured times are in docs/results.md.

    Args:
        labels: the number of labels to use, balanced over the classes; default: all.
    """
    recipe = folder_for((3, 32, 32), num_classes=2, num_labels=1 if labels is None else labels, num_images=400)
    return replace(recipe, labels_as_given=labels is None)


def folder_for(image_shape: tuple[int, int, int], *, num_classes: int, num_labels: int, num_images: int) -> Recipe:
    """The recipe for images that are known.

    Args:
        image_shape: (C, S, S), S 32, 64 or 128.
        num_classes: K; not used without labels.
        num_labels: 0 for a GAN without labels.
        num_images: the number of training images.

    >>> folder_for((3, 64, 64), num_classes=3, num_labels=60, num_images=200).batch_size
    48
    """
    size = image_shape[1]
    batch_size = min(100 if size == 32 else 64, max(2, num_images // 4))
    batch_size -= batch_size % (4 if batch_size >= 4 else 2)  # so that it divides by 2 or 4 processes
    epochs = -(-_STEPS // (num_images // batch_size))
    discriminator = partial(ConvolutionalDiscriminator, image_shape=image_shape, widths=_WIDTHS[size], convolutions=2)
    generation = Recipe(
        name="folder",
        summary="your own images (--images DIR), with labels or without, at 32, 64 or 128 pixels",
        load_data=GivenData(None),
        num_labels=0,
        generator=partial(
            ConvolutionalGenerator, image_shape=image_shape, widths=tuple(2 * one for one in _generator_widths(size))
        ),
        discriminator=partial(
            discriminator,
            num_classes=1,
            input_dropout=0.0,
            hidden_dropout=0.0,
            input_noise=0.1,
            minibatch=partial(MinibatchDiscrimination, num_kernels=64, kernel_dim=5, variant="released"),
        ),
        objective=Adversarial(discriminator_loss=smoothed_discriminator_loss),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=0.0003,
        init_batch_size=100,
        generator_ema_decay=0.999,
        ema_decay=0.999,
        precision=AUTO,
        channels_last=True,
        image_shape=image_shape,
        report_every=max(1, epochs // _REPORTS),
        sample_every=max(1, epochs // _REPORTS),
    )
    if not num_labels:
        return generation
    return replace(
        generation,
        num_labels=num_labels,
        discriminator=partial(discriminator, num_classes=num_classes),
        objective=SemiSupervised(generator_loss=partial(feature_matching_loss, variant="released-cifar10")),
        num_classes=num_classes,
    )


def folder_recipe(data: Dataset, *, num_labels: int | None) -> Recipe:
    """The recipe for a data set that was read from a folder.

    Args:
        data: its images.
        num_labels: the number of labels to use, balanced over the classes; None for all.

    Raises:
        RecipeError: labels are asked for, and the data have none.
    """
    split = LabelSplit.as_given(data.train.labels, held_out=data.held_out)
    if num_labels and not split.indices:
        raise RecipeError(
            f"{num_labels} labels are requested, but the data have none: give --labels FILE, or class folders"
        )
    height, width = data.image_shape[1:]
    recipe = folder_for(
        (3, height, width),
        num_classes=len(data.class_names),
        num_labels=len(split.indices) if num_labels is None else num_labels,
        num_images=len(split.training_indices()),
    )
    return replace(recipe, load_data=GivenData(data), labels_as_given=num_labels is None and bool(split.indices))


def folder_again(settings: dict[str, Any], *, run: Path | None = None) -> Recipe:
    """The recipe of an existing run, from its settings; the images are read only when its data are loaded.

    Args:
        settings: of `recipe.json`.
        run: its folder, which records the path of the images; None: the data cannot be loaded.
    """
    channels, height, width = settings["image_shape"]
    split = settings["label_split"]
    recipe = folder_for(
        (channels, height, width),
        num_classes=len(settings["class_names"]),
        num_labels=split["num_labels"],
        num_images=split["num_images"],
    )
    kept = ("batch_size", "report_every", "sample_every", "labels_as_given", "precision")
    load = None if run is None else partial(load_recorded, run=run, class_names=settings["class_names"])
    return replace(recipe, load_data=GivenData(None, load), **{name: settings["values"][name] for name in kept})


class GivenData:
    """Returns the data set that was read already, or reads that of a run again; `recipe.json` names only this class."""

    def __init__(self, data: Dataset | None, again: Callable[[Path | None], Dataset] | None = None) -> None:
        self._data, self._again = data, again

    def __call__(self, folder: Path | None) -> Dataset:
        """The data set."""
        if self._again is not None:
            return self._again(folder)
        if self._data is None:
            raise RecipeError("the recipe `folder` needs your images: improved-gan train-folder --images DIR")
        if folder is not None:
            raise RecipeError("the recipe `folder` takes its images by --images, not by --data")
        return self._data


def _generator_widths(size: int) -> tuple[int, ...]:
    """From 4x4 on: at its middle scales as many channels as D has there."""
    return (*_WIDTHS[size][::-1], _WIDTHS[size][0])[: len(_WIDTHS[size]) + 1]

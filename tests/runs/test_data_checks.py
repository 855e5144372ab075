from dataclasses import replace

import pytest

from improved_gan.data import DataError
from improved_gan.recipes.digits import digits
from improved_gan.recipes.recipe import RecipeError
from improved_gan.runs.build import Experiment


def prepare(**changes: object) -> Experiment:
    return Experiment.prepare(replace(digits(50), **changes), seed=1, split_seed=1, data_folder=None, device="cpu")


def test_images_of_another_size_or_other_classes_are_refused_before_training() -> None:
    with pytest.raises(RecipeError, match=r"digits trains on images of 16x16 pixels with 1 channels, but .* has 8x8"):
        prepare(image_shape=(1, 16, 16))
    with pytest.raises(RecipeError, match="larger images"):
        prepare(image_shape=(1, 16, 16))
    with pytest.raises(RecipeError, match="images of that size"):
        prepare(image_shape=(3, 8, 8))
    with pytest.raises(RecipeError, match=r"has 7 classes, but .* has 10"):
        prepare(num_classes=7)
    assert prepare(image_shape=(1, 8, 8), num_classes=10).data.image_shape == (1, 8, 8)


def test_more_labels_than_available_are_refused_before_training() -> None:
    with pytest.raises(DataError, match=r"class \d has only \d+ images: take at most \d+ labels"):
        prepare(num_labels=10_000)

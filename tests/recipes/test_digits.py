from pathlib import Path

import pytest

from improved_gan.recipes import RecipeError, digits


def test_it_fits_its_data() -> None:
    recipe = digits()
    data = recipe.load_data(None)
    assert recipe.num_labels == 50
    images = recipe.generator()(recipe.generator().draw_latents(4))
    assert images.shape[1:] == data.image_shape
    assert recipe.discriminator()(images).logits.shape == (4, len(data.class_names))


def test_a_data_folder_is_refused() -> None:
    with pytest.raises(RecipeError, match="need no --data"):
        digits().load_data(Path("/somewhere"))

"""Networks by shape."""

import json

import pytest
import torch

from improved_gan.estimator.architecture import Architecture, select_architecture
from improved_gan.estimator.layout import find_layout


@pytest.mark.parametrize(
    ("shape", "columns", "recipe"),
    [((9, 8, 8), False, "digits"), ((9, 28, 28), False, "mnist-released"), ((9, 5), True, "digits")],
)
def test_the_networks_fit_the_data(shape: tuple[int, ...], columns: bool, recipe: str) -> None:
    choice = select_architecture(find_layout(shape), 4, columns=columns)
    assert choice.recipe == recipe
    generator, discriminator = choice.build_generator(), choice.build_discriminator()
    made = generator(generator.draw_latents(3))
    assert made.shape == (3, *choice.image_shape)
    assert discriminator(made).logits.shape == (3, 4)
    assert f"settings of recipe {recipe}" in choice.describe()
    built = choice.to_recipe(20, epochs=3)
    assert (built.num_labels, built.epochs) == (20, 3)
    assert choice.epochs(10) == {"digits": 150, "mnist-released": 600}[recipe]


def test_it_survives_json() -> None:
    choice = select_architecture(find_layout((9, 8, 8)), 4)
    again = Architecture.from_dict(json.loads(json.dumps(choice.as_dict())))
    assert again == choice
    again.build_discriminator().load_state_dict(choice.build_discriminator().state_dict())


def test_a_table_gets_less_noise() -> None:
    layout = find_layout((9, 5))
    network = select_architecture(layout, 2, columns=True).build_discriminator().train()
    assert network.noises[0].std < select_architecture(layout, 2).build_discriminator().noises[0].std
    assert network(torch.zeros(2, 1, 1, 5)).features.shape == (2, 128)


def test_an_unknown_network() -> None:
    with pytest.raises(ValueError, match="network must be one of auto, dense, convolutional"):
        select_architecture(find_layout((9, 8, 8)), 4, network="transformer")


@pytest.mark.parametrize(
    ("shape", "widths"),
    [
        ((9, 3, 32, 32), [64, 128]),
        ((9, 12, 16, 3), [64, 128]),
        ((9, 64, 64), [32, 64, 128]),
        ((9, 128, 96, 3), [16, 32, 64, 128]),
        ((9, 36, 40), [32, 64, 128]),
    ],
)
def test_color_and_large_images_get_convolutions(shape: tuple[int, ...], widths: list[int]) -> None:
    choice = select_architecture(find_layout(shape), 4)
    assert (choice.network, choice.recipe, choice.discriminator["widths"]) == ("convolutional", "cifar10", widths)
    generator, discriminator = choice.build_generator(), choice.build_discriminator()
    made = generator(generator.draw_latents(2))
    assert made.shape == (2, *choice.image_shape)
    assert discriminator(made).logits.shape == (2, 4)
    assert Architecture.from_dict(json.loads(json.dumps(choice.as_dict()))) == choice
    assert choice.to_recipe(20, epochs=3).learning_rate == 0.0003


def test_images_that_convolutions_do_not_fit() -> None:
    assert select_architecture(find_layout((9, 30, 30, 3)), 4).network == "dense"
    with pytest.raises(ValueError, match=r"sides of 12 to 128 pixels, multiples of 4; got 200 x 200"):
        select_architecture(find_layout((9, 200, 200)), 4)
    with pytest.raises(ValueError, match="got 1 x 50"):
        select_architecture(find_layout((9, 50)), 4, network="convolutional")

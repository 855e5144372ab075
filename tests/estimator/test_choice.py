"""Networks by shape."""

import json

import pytest
import torch

from improved_gan.estimator.choice import Choice, choose
from improved_gan.estimator.layout import find_layout


@pytest.mark.parametrize(
    ("shape", "columns", "recipe"),
    [((9, 8, 8), False, "digits"), ((9, 28, 28), False, "mnist"), ((9, 5), True, "digits")],
)
def test_the_networks_fit_the_data(shape: tuple[int, ...], columns: bool, recipe: str) -> None:
    choice = choose(find_layout(shape), 4, columns=columns)
    assert choice.recipe == recipe
    generator, discriminator = choice.build_generator(), choice.build_discriminator()
    made = generator(generator.draw_latents(3))
    assert made.shape == (3, *choice.image_shape)
    assert discriminator(made).logits.shape == (3, 4)
    assert f"settings of recipe {recipe}" in choice.describe()
    built = choice.to_recipe(20, epochs=3)
    assert (built.num_labels, built.epochs) == (20, 3)
    assert choice.epochs(10) == {"digits": 150, "mnist": 600}[recipe]


def test_it_survives_json() -> None:
    choice = choose(find_layout((9, 8, 8)), 4)
    again = Choice.from_dict(json.loads(json.dumps(choice.as_dict())))
    assert again == choice
    again.build_discriminator().load_state_dict(choice.build_discriminator().state_dict())


def test_a_table_gets_less_noise() -> None:
    layout = find_layout((9, 5))
    network = choose(layout, 2, columns=True).build_discriminator().train()
    assert network.noises[0].std < choose(layout, 2).build_discriminator().noises[0].std
    assert network(torch.zeros(2, 1, 1, 5)).features.shape == (2, 128)


def test_an_unknown_network() -> None:
    with pytest.raises(ValueError, match="network must be one of auto, dense"):
        choose(find_layout((9, 8, 8)), 4, network="transformer")

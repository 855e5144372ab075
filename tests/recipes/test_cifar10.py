from collections.abc import Callable

import pytest
import torch

from improved_gan.recipes import Recipe
from improved_gan.recipes.cifar10 import (
    cifar10,
    cifar10_generation,
    cifar10_generation_released,
    cifar10_released,
    cifar10_small,
    cifar10_small_supervised,
    cifar10_supervised,
)
from improved_gan.training import Adversarial, SupervisedBaseline


@pytest.mark.parametrize(("labels", "figure"), [(1000, "21.83"), (2000, "19.61"), (None, "18.63"), (8000, "17.72")])
def test_figures_of_table_2(labels: int | None, figure: str) -> None:
    assert cifar10(labels).paper.startswith(figure)


@pytest.mark.parametrize(
    ("recipe", "epochs", "factor"),
    [
        (cifar10(), 1001, lambda _: 1),
        (cifar10_released(), 1200, lambda epoch: min(3 - epoch / 400, 1)),
        (cifar10_generation(), 500, lambda epoch: min(2.5 - epoch / 200, 1)),
        (cifar10_generation_released(), 1200, lambda epoch: min(3 - epoch / 400, 1)),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_learning_rates_are_those_of_the_authors_scripts(
    recipe: Recipe, epochs: int, factor: Callable[[int], float]
) -> None:
    assert recipe.epochs == epochs
    for epoch in range(0, epochs, 50):
        assert recipe.lr(epoch) == pytest.approx(0.0003 * factor(epoch))


def test_averages_are_those_of_the_authors_scripts() -> None:
    recipes = (cifar10(), cifar10_released(), cifar10_generation(), cifar10_generation_released())
    assert [recipe.ema_decay for recipe in recipes] == [0.999, 0.9999, 0.0, 0.9999]


@pytest.mark.parametrize(
    ("recipe", "slope", "std", "spread"), [(cifar10(), 0.1, 1.0, True), (cifar10_released(), 0.2, 0.1, False)]
)
def test_slope_and_initialization(recipe: Recipe, slope: float, std: float, spread: bool) -> None:
    """At the paper's date a layer's units together have standard deviation 1, now each unit has its own."""
    network = recipe.discriminator.func(**{**recipe.discriminator.keywords, "widths": (4, 8), "hidden_dropout": 0.0})
    assert network.body[0].slope == slope
    network.corruption = torch.nn.Identity()
    seen: list[torch.Tensor] = []
    for layer in (network.body[0].convolution, network.output):
        layer.register_forward_hook(lambda _m, _i, output: seen.append(output.movedim(1, -1).flatten(0, -2)))
    images = torch.rand(50, 3, 32, 32)
    network.init_from_data_(images)
    seen.clear()
    network(images)
    for values, wanted in zip(seen, (1.0, std), strict=True):
        units = values.std(0, correction=0)
        assert units.square().mean().sqrt().item() == pytest.approx(wanted, rel=1e-3)
        assert (units.max() > 1.01 * units.min()).item() == spread


def test_the_small_pair_is_a_narrower_cifar10() -> None:
    small = cifar10_small()
    assert small.discriminator().output.weight.shape == (10, 64)
    assert small.discriminator().body[0].slope == 0.1
    assert small.generator()(small.generator().draw_latents(2)).shape == (2, 3, 32, 32)
    supervised = cifar10_small_supervised()
    assert isinstance(supervised.objective, SupervisedBaseline)
    assert supervised.discriminator.keywords == small.discriminator.keywords


def test_networks_are_those_of_the_paper() -> None:
    generator, discriminator = cifar10().generator(), cifar10().discriminator()
    assert generator(generator.draw_latents(2)).shape == (2, 3, 32, 32)
    assert discriminator.output.weight.shape == (10, 192)
    assert cifar10_generation().discriminator().output.weight.shape == (10, 292)


def test_generation_and_supervised_derive() -> None:
    assert isinstance(cifar10_supervised(1000).objective, SupervisedBaseline)
    assert cifar10_supervised(1000).num_labels == 1000
    pictures = cifar10_generation().objective
    assert isinstance(pictures, Adversarial)
    assert (pictures.supervised_weight, pictures.adversarial_weight) == (1.0, 0.5)
    assert (cifar10().generator_steps, cifar10_generation().generator_steps) == (1, 3)

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from improved_gan.recipes import RECIPES, Recipe
from improved_gan.recipes.cifar10 import (
    ABLATIONS,
    COLUMNS,
    ablated,
    all_techniques,
    cifar10,
    cifar10_generation,
    cifar10_generation_released,
    cifar10_released,
    cifar10_small,
    cifar10_small_supervised,
    cifar10_supervised,
)
from improved_gan.recipes.mnist import mnist_generation
from improved_gan.recipes.recipe import RecipeError
from improved_gan.recipes.svhn import svhn_generation, svhn_generation_released
from improved_gan.reproduction.tables import TABLES
from improved_gan.techniques import VirtualBatchNorm
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


@pytest.mark.parametrize(
    ("recipe", "kernels", "output"),
    [
        (cifar10_generation(), 0.1, None),
        (mnist_generation(), 0.1, None),
        (svhn_generation(), 0.1, None),
        (cifar10_generation_released(), 0.05, 0.1),
        (svhn_generation_released(), 0.05, 0.1),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_initial_size_of_the_kernels_and_of_the_generators_output(
    recipe: Recipe, kernels: float, output: float | None
) -> None:
    """The scripts of 8 June initialize T at 0.1 and G not from data, the last release at 0.05 and from data at 0.1."""
    assert recipe.discriminator().minibatch.weight.std().item() == pytest.approx(kernels, rel=0.02)
    assert recipe.generator().output_std == output


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
    assert (cifar10().generator_updates, cifar10_generation().generator_updates) == (1, 3)


PROBABILITIES = torch.tensor([0.9])


def test_the_rows_of_the_table_are_the_columns_of_the_ablation() -> None:
    rows = TABLES["ablations"].rows
    assert [row.recipe for row in rows] == list(ABLATIONS)
    assert [row.title for row in rows] == list(COLUMNS)
    for row in rows:
        assert RECIPES[row.recipe](None).name == row.recipe
        assert RECIPES[row.recipe](None).paper.startswith(f"Inception score {row.one.mean}")


def techniques(name: str) -> set[str]:
    """The techniques that a recipe has, from its networks and losses."""
    recipe, found = RECIPES[name](None), set()
    generator, discriminator = recipe.generator(), recipe.discriminator()
    found |= {"VBN"} if any(isinstance(one, VirtualBatchNorm) for one in generator.modules()) else set()
    found |= {"BN"} if any(isinstance(one, nn.BatchNorm2d) for one in generator.modules()) else set()
    found |= {"MBF"} if discriminator.minibatch is not None else set()
    # The loss for real examples is smallest at D = 1 without smoothing, at D = 0.9 with it.
    sure, at_target = torch.logit(torch.tensor([1 - 1e-6])), torch.logit(PROBABILITIES)
    loss, generated = recipe.objective.discriminator_loss, torch.tensor([-20.0])
    found |= {"LS"} if loss(sure, generated) > loss(at_target, generated) else set()
    found |= {"L"} if recipe.num_labels == 50_000 and recipe.objective.supervised_weight else set()
    found |= {"HA"} if recipe.historical_averaging_weight else set()
    found |= {"FM"} if recipe.objective.matching_weight else set()
    return found


ALL = {"VBN", "MBF", "LS", "L"}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("our methods", ALL),
        ("-VBN+BN", ALL - {"VBN"} | {"BN"}),
        ("-L+HA", ALL - {"L"} | {"HA"}),
        ("-LS", ALL - {"LS"}),
        ("-L", ALL - {"L"}),
        ("-MBF", ALL - {"MBF"}),
    ],
)
def test_each_column_lacks_the_technique_of_its_name(column: str, expected: set[str]) -> None:
    assert techniques(f"cifar10-samples{COLUMNS[column][0]}") == expected


def test_columns_without_labels_refuse_num_labels() -> None:
    with pytest.raises(RecipeError, match="trained without labels: leave out --labels"):
        ABLATIONS["cifar10-samples-no-labels"](4000)
    assert ABLATIONS["cifar10-samples-no-smoothing"](4000).num_labels == 4000


def test_unknown_columns_and_other_recipes_are_refused() -> None:
    with pytest.raises(RecipeError, match="there are our methods, -VBN\\+BN"):
        ablated(all_techniques(), "-X")
    with pytest.raises(RecipeError, match="does not have all techniques"):
        ablated(replace(cifar10(), name="other"), "-L")

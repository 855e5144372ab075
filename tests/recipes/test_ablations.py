from dataclasses import replace

import pytest
import torch
from torch import nn

from improved_gan.recipes import RECIPES
from improved_gan.recipes.ablations import ABLATIONS, COLUMNS, ablated, all_techniques
from improved_gan.recipes.cifar10 import cifar10
from improved_gan.recipes.recipe import RecipeError
from improved_gan.reproduction.tables import TABLES
from improved_gan.techniques import VirtualBatchNorm

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

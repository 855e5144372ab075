import dataclasses
import functools
import json

import pytest

from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling
from improved_gan.recipes import RecipeError, digits
from improved_gan.recipes.recipe import to_jsonable
from improved_gan.training.objectives import Adversarial


def test_all_settings_are_json_values() -> None:
    text = json.dumps(digits().as_dict())
    described_again = json.loads(text)
    assert described_again["objective"]["unsupervised_weight"] == 0.5
    assert described_again["objective"]["generator_loss"]["variant"] == "released-mnist"
    assert described_again["generator"]["call"] == "improved_gan.networks.dense.DenseGenerator"
    assert described_again["adam_betas"] == [0.5, 0.999]
    assert "0x" not in text, "an address would differ from run to run"


def test_to_jsonable_distinguishes_different_settings() -> None:
    assert to_jsonable(functools.partial(pow, 2)) != to_jsonable(functools.partial(pow, 3))
    assert to_jsonable({"a": (1, 2)}) == {"a": [1, 2]}


@dataclasses.dataclass(frozen=True)
class WithPseudoLabelTerm(Adversarial):
    """An objective of a user with a pseudo-label term of its own."""


def test_a_users_own_objective_may_take_pseudo_labels() -> None:
    recipe = dataclasses.replace(digits(), pseudo_labeling=PseudoLabeling(10), objective=WithPseudoLabelTerm())
    assert recipe.pseudo_labeling == PseudoLabeling(10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be positive; got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        (
            {"pseudo_labeling": PseudoLabeling(10), "objective": Adversarial()},
            "Adversarial has no term for pseudo-labels: set pseudo_labeling to None, or take SemiSupervised",
        ),
        ({"num_labels": -1}, "num_labels must be positive, or 0 for none"),
        ({"lr_decay_fraction": 1.5}, r"lr_decay_fraction must lie in 0\.\.1; got 1\.5"),
        ({"precision": "float8"}, "float32, bfloat16, auto; got 'float8'"),
    ],
)
def test_numbers_out_of_range(change: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        dataclasses.replace(digits(), **change)

"""Parameters."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.estimator.settings import Settings


def test_the_defaults_are_fine() -> None:
    assert Settings.check(SemiSupervisedGANClassifier(device="cpu")).device == "cpu"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 0, "whole number of at least 1; got 0"),
        ("epochs", 1.5, "whole number"),
        ("batch_size", 1, "at least 2"),
        ("n_estimators", 0, "at least 1"),
        ("n_iter_no_change", 0, "at least 1"),
        ("learning_rate", 0.0, "positive"),
        ("learning_rate", True, "positive"),
        ("epochs", True, "whole number"),
        ("validation_fraction", "0.2", "validation_fraction must be a number"),
        ("unsupervised_weight", -1, "at least 0"),
        ("precision", "float16", "float32, bfloat16"),
        ("device", "tpu", "device='cpu'"),
        ("device", "meta", "not supported"),
    ],
)
def test_what_is_out_of_range(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.check(SemiSupervisedGANClassifier(**{name: value}))


def test_the_numbers_of_numpy_are_numbers() -> None:
    numbers = {
        "learning_rate": np.float32(0.5),
        "unsupervised_weight": np.int64(1),
        "validation_fraction": np.float32(0.25),
        "epochs": np.int32(3),
        "batch_size": np.uint8(200),
    }
    checked = asdict(Settings.check(SemiSupervisedGANClassifier(device="cpu", **numbers)))
    assert {name: checked[name] for name in numbers} == numbers
    json.dumps(checked)  # plain numbers from here on


def test_spread_labels_need_examples_without_labels() -> None:
    with pytest.raises(ValueError, match="uses examples without labels, unsupervised_weight=0 does not"):
        Settings.check(SemiSupervisedGANClassifier(label_spreading=True, unsupervised_weight=0))

"""Parameters."""

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
        ("n_models", 0, "at least 1"),
        ("patience", 0, "at least 1"),
        ("learning_rate", 0.0, "positive"),
        ("unlabelled_weight", -1, "at least 0"),
        ("precision", "float16", "float32, bfloat16"),
        ("device", "tpu", "device='cpu'"),
        ("device", "meta", "not supported"),
    ],
)
def test_what_is_out_of_range(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.check(SemiSupervisedGANClassifier(**{name: value}))

"""Warnings where training has not improved on chance."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.estimator.ensemble import warn_at_chance
from improved_gan.estimator.labels import KnownLabels

KNOWN = KnownLabels(np.arange(10), np.repeat([0, 1], 5), np.array(["a", "b"]))


def ended(error: float, loss: float, epochs: int = 20) -> SimpleNamespace:
    line = {"discriminator/labeled_error": error, "discriminator/supervised": loss}
    return SimpleNamespace(history=[{}, line], diagnostics=[], epochs=epochs)


def test_a_learning_rate_far_too_large_is_told(few) -> None:
    model = SemiSupervisedGANClassifier(epochs=8, learning_rate=10, random_state=0, device="cpu")
    with pytest.warns(UserWarning, match=r"not improved on chance.*chance: 67%.*smaller learning_rate"):
        model.fit(few.images, few.y)
    assert "not improved on chance" in model.warnings_[0][-1]


@pytest.mark.parametrize("fit", [ended(0.1, 3.0), ended(0.5, 0.6), ended(0.5, 3.0, epochs=19)])
def test_who_learns_or_has_hardly_begun_is_left_alone(fit) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_at_chance([fit], KNOWN, 1)
    assert fit.diagnostics == []


def test_members_are_counted() -> None:
    fits = [ended(0.5, 3.0), ended(0.0, 0.1), ended(0.45, 0.8)]
    with pytest.warns(UserWarning, match=r"^2 of 3 models: .* is 50% \(chance: 50%\), the loss 3.00"):
        warn_at_chance(fits, KNOWN, 1)
    assert [len(fit.diagnostics) for fit in fits] == [1, 0, 1]

"""One trained pair."""

import pickle

import numpy as np
import pytest
import torch

from improved_gan.estimator.architecture import select_architecture
from improved_gan.estimator.ensemble_member import EnsembleMember
from improved_gan.estimator.layout import find_layout


def member_of(fitted) -> EnsembleMember:
    return fitted.members_[0]


def test_what_it_says_follows_from_its_logits(fitted) -> None:
    member = member_of(fitted)
    images = torch.rand(5, 1, 8, 8)
    judged = member.predict(images)
    logits = member._classifier(images.double()).logits.numpy()
    np.testing.assert_allclose(judged.real_score, np.log(np.exp(logits).sum(1)))
    np.testing.assert_allclose(np.exp(judged.log_probabilities), np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    assert judged.features.shape == (5, 128)


def test_it_pickles(fitted) -> None:
    member = member_of(fitted)
    again = pickle.loads(pickle.dumps(member))
    images = torch.rand(5, 1, 8, 8)
    np.testing.assert_array_equal(again.predict(images).features, member.predict(images).features)
    torch.testing.assert_close(again.sample(3, seed=1), member.sample(3, seed=1), rtol=0, atol=0)


def test_weights_of_other_networks(fitted) -> None:
    with pytest.raises(ValueError, match="not those of a dense pair"):
        EnsembleMember(select_architecture(find_layout((9, 5)), 3), member_of(fitted).tensors)

"""Weights of labels: against the formula in plain NumPy, and what they do to a fit."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
import sklearn
import torch
from sklearn.datasets import make_blobs
from sklearn.model_selection import KFold, cross_val_score

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.data import Batch
from improved_gan.estimator import classifier, labels
from improved_gan.estimator.labels import KnownLabels
from improved_gan.estimator.weights import label_weights, to_mean_one, warn_of_imbalance
from improved_gan.networks import DenseDiscriminator, DenseGenerator
from improved_gan.training import SemiSupervised, SupervisedBaseline

KNOWN = KnownLabels(np.array([0, 2, 3, 5]), np.array([0, 0, 0, 1]), np.array(["a", "b"]))
X = np.zeros((6, 2))


@pytest.mark.parametrize(
    ("class_weight", "sample_weight", "expected"),
    [
        ("balanced", None, [4 / 6, 4 / 6, 4 / 6, 4 / 2]),
        ({"a": 1, "b": 3}, None, [1, 1, 1, 3]),
        ({"b": 3}, None, [1, 1, 1, 3]),
        (None, [1, 9, 2, 3, 9, 4], [1, 2, 3, 4]),
        ({"a": 2, "b": 1}, [1, 9, 2, 3, 9, 4], [2, 4, 6, 4]),
    ],
)
def test_weights_are_those_of_the_class_times_those_of_the_example(class_weight, sample_weight, expected) -> None:
    known, weights = label_weights(KNOWN, X, class_weight, sample_weight)
    assert known.rows.tolist() == [0, 2, 3, 5]
    np.testing.assert_allclose(weights, np.array(expected) / np.mean(expected), rtol=1e-12)
    assert to_mean_one(weights[:2]).mean() == pytest.approx(1)


@pytest.mark.parametrize("given", [[1e308, 1.5e308], [1e-310, 3e-310], [5e-324, 1e-323, 5e-324], [0.0, 1e308, 1e300]])
def test_weights_of_any_size_have_mean_one_and_their_ratios(given: list[float]) -> None:
    exact = [Fraction(one) for one in given]
    expected = [float(one * len(exact) / sum(exact)) for one in exact]
    np.testing.assert_allclose(to_mean_one(np.array(given)), expected, rtol=1e-14)
    if min(given) > 0 and len(given) == 2:
        known = KnownLabels(np.array([0, 1]), np.array([0, 1]), np.array(["a", "b"]))
        np.testing.assert_allclose(label_weights(known, X[:2], None, given)[1], expected, rtol=1e-14)


def test_equal_weights_are_none_and_a_label_of_weight_0_is_unknown() -> None:
    assert label_weights(KNOWN, X, None, None)[1] is None
    assert label_weights(KNOWN, X, {"a": 2, "b": 2}, np.full(6, 3.0))[1] is None
    known, weights = label_weights(KNOWN, X, None, [1, 0, 0, 0, 0, 1])
    assert (known.rows.tolist(), known.codes.tolist(), weights) == ([0, 5], [0, 1], None)


@pytest.mark.parametrize(
    ("class_weight", "sample_weight", "message"),
    [
        ({"a": -1, "b": 1}, None, "finite and at least 0"),
        ({"a": 1, "b": 0}, None, "all labels of 'b' have weight 0"),
        ("heavy", None, "balanced"),
        (None, [1, 2], "sample_weight"),
        (None, [-1.0] * 6, "at least 0"),
    ],
)
def test_weights_that_cannot_work_are_told(class_weight, sample_weight, message) -> None:
    with pytest.raises(ValueError, match=message):
        label_weights(KNOWN, X, class_weight, sample_weight)


@pytest.mark.parametrize("objective", [SemiSupervised(supervised_weight=2.0), SupervisedBaseline()])
def test_the_weighted_loss_is_the_weighted_mean_of_the_examples_losses(objective) -> None:
    network, generator = DenseDiscriminator((1, 2, 2), 3, hidden=(4,)).eval(), DenseGenerator((1, 2, 2), hidden=(3,))
    images, labels = torch.rand(5, 1, 2, 2), torch.tensor([0, 1, 2, 2, 1])
    weights = np.array([5.0, 1.0, 0.5, 3.0, 2.0])
    batch = Batch(images, labels, images, images, label_weights=torch.from_numpy(to_mean_one(weights)).float())
    terms = objective.discriminator_terms(generator, network, batch)
    logits = network(images).logits.detach().double().numpy()
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(5), labels.numpy()]
    factor = 2 if isinstance(objective, SemiSupervised) else 1
    expected = factor * (weights * losses).sum() / weights.sum()
    assert terms.losses["supervised"].item() == pytest.approx(expected, rel=1e-5)


def test_many_labels_of_one_class_and_few_of_another_are_told() -> None:
    def known(*counts: int) -> KnownLabels:
        codes = np.repeat(np.arange(len(counts)), counts)
        return KnownLabels(np.arange(len(codes)), codes, np.array(["a", "b", "c"][: len(counts)]))

    with pytest.warns(UserWarning, match=r"47 of class 'a' and 3 of class 'b'.*class_weight='balanced'"):
        warn_of_imbalance(known(47, 3, 20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_imbalance(known(19, 4, 10))


def test_a_rare_class_is_found_with_balanced_weights() -> None:
    random = np.random.default_rng(0)
    truth = np.arange(200) % 10 == 0
    examples = random.normal(truth[:, None] * 1.5, 1, (200, 3))
    y = np.full(200, -1)
    y[np.flatnonzero(~truth)[:47]], y[np.flatnonzero(truth)[:3]] = 0, 1
    make = {"epochs": 15, "unsupervised_weight": 0, "random_state": 0, "device": "cpu"}
    with pytest.warns(UserWarning, match="imbalanced"):
        plain = SemiSupervisedGANClassifier(**make).fit(examples, y)
    balanced = SemiSupervisedGANClassifier(class_weight="balanced", **make).fit(examples, y)
    by_example = SemiSupervisedGANClassifier(class_weight={0: 3}, **make)
    by_example.fit(examples, y, sample_weight=np.where(truth, 47, 1.0))
    recalls = [(model.predict(examples)[truth] == 1).mean() for model in (plain, balanced)]
    assert recalls[1] > recalls[0] + 0.1
    np.testing.assert_allclose(by_example.predict_proba(examples), balanced.predict_proba(examples), atol=1e-3)


def test_weights_by_class_are_stored_with_their_classes(few, tmp_path) -> None:
    weights = {0: 1.0, 1: 2.0, 2: 3}
    model = SemiSupervisedGANClassifier(epochs=1, random_state=0, device="cpu", class_weight=weights)
    model.fit(few.images[:60], few.y[:60], sample_weight=np.linspace(1, 2, 60)).save(tmp_path / "kept")
    again = SemiSupervisedGANClassifier.load(tmp_path / "kept")
    assert again.class_weight == weights
    np.testing.assert_array_equal(again.predict_proba(few.images[:9]), model.predict_proba(few.images[:9]))


def test_metadata_is_routed_to_fit_and_score(monkeypatch) -> None:
    rows, truth = make_blobs(40, centers=2, random_state=0)
    weights = np.random.default_rng(0).random(40) + 0.5
    fitted, scored = [], []

    def fit_weights(known, examples, class_weight, sample_weight):
        fitted.append(sample_weight)
        return label_weights(known, examples, class_weight, sample_weight)

    monkeypatch.setattr(classifier, "label_weights", fit_weights)
    monkeypatch.setattr(labels, "accuracy_score", lambda *_, sample_weight: scored.append(sample_weight) or 0.5)
    with sklearn.config_context(enable_metadata_routing=True):
        model = SemiSupervisedGANClassifier(epochs=1, device="cpu", random_state=0)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        cross_val_score(model, rows, truth, params={"sample_weight": weights}, cv=KFold(2))
    np.testing.assert_array_equal(np.concatenate(fitted), weights[np.r_[20:40, 0:20]])
    np.testing.assert_array_equal(np.concatenate(scored), weights)

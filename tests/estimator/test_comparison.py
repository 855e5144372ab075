"""The comparison of methods: what it counts, what it says, and that chance alone is rarely called a difference."""

from itertools import product

import joblib
import numpy as np
import pytest
from sklearn.datasets import make_blobs

from improved_gan.estimator.comparison import METHODS, Comparison, _p_value, compare_methods, prepared


class Fixed:
    """A model that answers by a rule."""

    def __init__(self, rule) -> None:
        self.predict = rule


def test_every_label_is_predicted_without_itself_and_all_rows_are_there() -> None:
    rows = np.random.RandomState(0).randn(40, 4)
    y = np.where(np.arange(40) < 12, np.arange(40) % 3, -1)
    seen = []

    def method(points, known, seed):
        seen.append((len(points), int((known >= 0).sum()), seed))
        return Fixed(lambda held: np.zeros(len(held), dtype=int))

    found = compare_methods(rows, y, methods={"first class": method}, num_repeats=2, seed=5)
    seeds = [seed for _, _, seed in seen]
    assert [(rows, labels) for rows, labels, _ in seen] == [(40, 9)] * 8  # four labels of each class: four folds
    assert len(set(seeds[:4])) == len(set(seeds[4:])) == 1
    assert seeds[0] != seeds[4]
    np.testing.assert_allclose(found.wrong[0], np.arange(12) % 3 != 0)
    assert (found.num_folds, found.num_unlabeled) == (4, 28)


def test_side_by_side_the_same_as_one_after_the_other() -> None:
    rows, y = make_blobs(60, centers=3, cluster_std=3.0, random_state=0)
    few = {name: METHODS[name] for name in ("linear probe", "k-NN", "label spreading")}
    with joblib.parallel_config("threading"):  # starting processes takes seconds
        one, two = (compare_methods(rows, y, methods=few, num_repeats=1, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one.wrong, two.wrong)
    assert 0 < one.errors.max() < 0.5


def test_p_values_against_all_sign_flips() -> None:
    differences = np.array([1.0, 1.0, 1 / 3, -1 / 3, 2 / 3, 0.0, 1.0])
    told = differences[differences != 0]
    means = [abs(np.dot(told, signs)) for signs in product((-1, 1), repeat=len(told))]
    exact = np.mean([mean >= abs(told.sum()) - 1e-9 for mean in means])
    assert _p_value(differences) == pytest.approx(exact)
    assert _p_value(np.zeros(10)) == 1.0


def test_equal_methods_are_rarely_told_apart(monkeypatch) -> None:
    monkeypatch.setattr("improved_gan.estimator.comparison._FLIPS", 399)
    random = np.random.RandomState(0)
    wrong = [(random.rand(2, 60, 3) < 0.3).mean(2) for _ in range(100)]
    values = [_p_value(first - second) for first, second in wrong]
    assert 0 < np.mean(np.array(values) < 0.05) < 0.12


def made(errors, seconds) -> Comparison:
    """60 labels; each method is wrong on its first ones."""
    wrong = np.array([np.arange(60) < num for num in errors], dtype=float)
    names = ("a", "b", "c")[: len(errors)]
    return Comparison(names, wrong, np.array(seconds, dtype=float), 5, 3, 0)


def test_the_best_is_recommended_if_it_can_be_told() -> None:
    assert made([30, 5, 28], [1, 9, 1]).verdict().startswith("Recommended: b.")
    unsure = made([8, 5, 40], [1, 9, 1])
    assert unsure.verdict().startswith("60 labels do not suffice to tell b (the lowest error) from a.")
    assert "until then take a" in unsure.verdict()
    assert made([5], [1]).verdict() == "Only a was tried: there is nothing to recommend it over."
    assert unsure.p_values()[2] < 0.001 < unsure.p_values()[0]
    low, high = unsure.interval(1)
    assert low < 5 / 60 < high


def test_rows_are_scaled_as_embeddings_or_column_by_column() -> None:
    random = np.random.RandomState(0)
    table = random.randn(30, 4) * [1, 100, 1, 1]
    np.testing.assert_allclose(prepared(table).std(0).mean(), 0.5, atol=0.05)
    rows = random.rand(40, 30).astype(np.float32) ** 0.1  # far from zero, as after a ReLU
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert prepared(rows).shape == (40, 30)
    assert np.isfinite(prepared(rows)).all()
    np.testing.assert_allclose(np.linalg.norm(prepared(rows), axis=1), 1, atol=0.1)


def test_columns_far_from_zero_keep_their_digits() -> None:
    table = np.random.RandomState(0).randn(50, 6)  # such as times in seconds since 1970
    np.testing.assert_allclose(np.abs(prepared(table + 1e9)), np.abs(prepared(table)), atol=1e-4)


def test_a_column_that_is_constant_in_the_rows_learned_from_decides_nothing() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 4))
    rows[:, 2] = 0.1
    rows[150:, 2] = 0.2  # rows to be tested
    found = prepared(rows, learned_from=np.arange(150))
    assert np.abs(found[150:]).max() < 5


def test_the_gan_learns_from_spread_labels(monkeypatch) -> None:
    monkeypatch.setattr("improved_gan.estimator.comparison._STEPS", 60)
    rows, truth = make_blobs(200, n_features=130, centers=3, cluster_std=3.0, random_state=0)
    y = np.where(np.arange(200) < 12, truth, -1)

    def accuracy(name: str) -> float:
        return (METHODS[name](prepared(rows), y, 0).predict(prepared(rows)) == truth).mean()

    assert accuracy("GAN from spread labels") > 0.9 > accuracy("GAN")  # 60 steps are too few for twelve labels


def test_labels_that_cannot_be_divided() -> None:
    rows = np.random.RandomState(0).randn(8, 3)
    with pytest.raises(ValueError, match="needs two labels of each class, but 1 has one"):
        compare_methods(rows, [0, 0, 1, -1, -1, -1, -1, -1])
    with pytest.raises(ValueError, match="two classes or more; got 1"):
        compare_methods(rows, [0, 0, 0, -1, -1, -1, -1, -1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare_methods(rows, [0, 0, 1, 1])

"""Few labels on features: scikit-learn's contract, exact small graphs, and what bad input says."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from scipy import sparse
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from improved_gan import LabelSpreadingClassifier
from improved_gan.estimator.label_spreading_classifier import _distinct
from improved_gan.label_spreading.knn import faiss_neighbors, nearest_neighbors


@parametrize_with_checks(
    [LabelSpreadingClassifier(), LabelSpreadingClassifier(final="neighbors")],
    expected_failed_checks=lambda model: {
        "check_classifiers_classes": "uses -1 as a class, which means `unlabeled` here; scikit-learn exempts its own "
        "semi-supervised classifiers from this part by their names",
        "check_sample_weight_equivalence_on_dense_data": "a row of weight 0 stays in the graph, without a label",
        "check_sample_weight_equivalence_on_sparse_data": "a row of weight 0 stays in the graph, without a label",
        **({"check_class_weight_classifiers": "weighs the linear model"} if model.final == "neighbors" else {}),
    },
)
def test_scikit_learn_check(estimator, check) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """800 digits of which 40 have labels."""
    images, truth = load_digits(return_X_y=True)
    images, truth = images[:800], truth[:800]
    y = np.full(len(truth), -1)
    for one in range(10):
        y[np.flatnonzero(truth == one)[:4]] = one
    return images.astype(np.float32), y, truth


@pytest.mark.parametrize("final", ["linear", "neighbors"])
def test_unlabeled_rows_help(digits, final: str) -> None:
    images, y, truth = digits
    model = LabelSpreadingClassifier(scaling="none", final=final).fit(images[:600], y[:600])
    alone = LogisticRegression(max_iter=500).fit(images[y >= 0], y[y >= 0])
    assert model.score(images[600:], truth[600:]) > alone.score(images[600:], truth[600:]) + 0.03
    np.testing.assert_allclose(model.predict_proba(images[600:650]).sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.transduction_, model.label_distributions_.argmax(1))


def test_sparse_rows_give_what_dense_rows_give(digits) -> None:
    images, y, _ = digits
    dense = LabelSpreadingClassifier(scaling="embedding", n_components=64).fit(images, y)
    thin = LabelSpreadingClassifier(scaling="embedding", n_components=64).fit(sparse.csr_matrix(images), y)
    assert (dense.predict(images) == thin.predict(sparse.csr_array(images))).mean() > 0.99


def test_more_unlabeled_rows_come_separately(digits) -> None:
    images, y, _ = digits
    few = y >= 0
    apart = LabelSpreadingClassifier().fit(images[few], y[few], unlabeled=images[~few])
    together = LabelSpreadingClassifier().fit(np.concatenate([images[few], images[~few]]), np.r_[y[few], y[~few]])
    np.testing.assert_array_equal(apart.predict(images), together.predict(images))


def test_classes_are_text() -> None:
    rows, truth = make_blobs(90, centers=3, random_state=0)
    names = np.array(["red", "green", "blue"], dtype=object)[truth]
    y = np.where(np.arange(90) < 12, names, -1)
    model = LabelSpreadingClassifier().fit(rows, y)
    assert set(model.predict(rows)) == {"red", "green", "blue"}
    assert model.score(rows, y) == (model.predict(rows[:12]) == names[:12]).mean()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_the_score_leaves_out_rows_without_a_label(digits, form) -> None:
    images, y, _ = digits
    model = LabelSpreadingClassifier().fit(form(images), y)
    known, y = y >= 0, np.where(y == 3, 4, y)  # some wrong labels
    right, weights = model.predict(form(images[known])) == y[known], np.arange(800.0)
    assert 0 < right.mean() < 1
    assert model.score(form(images), y) == right.mean()
    expected = (right * weights[known]).sum() / weights[known].sum()
    assert model.score(form(images), y, weights) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="only -1, so there is nothing to score"):
        model.score(form(images), np.full(800, -1))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
def test_the_score_takes_every_sparse_format(form: str) -> None:
    rows, truth = make_blobs(60, centers=3, random_state=1)
    y = np.where(np.arange(60) < 30, truth, -1)
    model = LabelSpreadingClassifier().fit(sparse.csr_array(rows), y)
    weights = np.arange(60.0)
    expected = np.average(model.predict(rows)[:30] == truth[:30], weights=weights[:30])
    for matrix in (sparse.csr_array(rows), sparse.csr_matrix(rows)):
        assert model.score(matrix.asformat(form), y, weights) == pytest.approx(expected, rel=1e-12)


def test_masses_of_classes_agree_with_the_formula_on_dense_matrices() -> None:
    random = np.random.RandomState(0)
    rows = random.randn(60, 4).astype(np.float32)
    y, weights = np.full(60, -1), np.ones(60)
    y[:5], weights[:5] = [0, 0, 0, 1, 2], [1, 1, 2, 1, 3]  # of total weight 4, 1 and 3
    model = LabelSpreadingClassifier(n_neighbors=6, linear_weight=0, scaling="none").fit(rows, y, sample_weight=weights)
    squares = ((rows[:, None].astype(float) - rows[None]) ** 2).sum(2)
    np.fill_diagonal(squares, np.inf)
    near = squares <= np.sort(squares, axis=1)[:, 5:6]
    graph = np.where(near, np.exp(-4 * squares / np.sort(squares, axis=1)[:, 5:6]), 0)
    graph = np.maximum(graph, graph.T)
    smooth = graph / np.sqrt(graph.sum(1)[:, None] * graph.sum(0))
    start = np.zeros((60, 3))
    start[np.arange(5), y[:5]] = weights[:5] / np.array([4, 4, 4, 1, 3])
    reached = np.linalg.solve(np.eye(60) - 0.9 * smooth, start)
    frequency = (np.array([4, 1, 3]) * 5 / 8 + 100 / 3) / 105
    found = reached / reached.sum(0) * np.sqrt(reached.sum(0) * frequency)
    np.testing.assert_allclose(model.label_distributions_, found / found.sum(1, keepdims=True), atol=1e-4)
    known = model.set_params(priors=[1, 2, 5]).fit(rows, y, sample_weight=weights).label_distributions_
    found = reached / reached.sum(0) * [1, 2, 5]
    np.testing.assert_allclose(known, found / found.sum(1, keepdims=True), atol=1e-4)


def test_a_rare_class_with_as_many_labels_as_others() -> None:
    """With equal masses the rare class takes rows of the others."""
    centers = 4 * np.eye(8)[:3]
    rows, truth = make_blobs([300, 300, 30], centers=centers, cluster_std=1.5, random_state=0)  # type: ignore[arg-type]
    y = np.full(len(truth), -1)
    for one in range(3):
        y[np.flatnonzero(truth == one)[:5]] = one
    estimated, known, equal = (
        (LabelSpreadingClassifier(priors=priors).fit(rows, y).transduction_ == truth).mean()
        for priors in (None, [300, 300, 30], [1, 1, 1])
    )
    assert min(estimated, known) > equal + 0.03


def test_how_many_labels_a_class_has_says_little(digits) -> None:
    images, y, truth = digits
    y = y.copy()
    for one in range(5):  # these have one label, the others four
        y[np.flatnonzero(y == one)[1:]] = -1
    model = LabelSpreadingClassifier(scaling="none").fit(images, y)
    alone = LogisticRegression(max_iter=500).fit(images[y >= 0], y[y >= 0])
    assert (model.transduction_ == truth).mean() > (alone.predict(images) == truth).mean() + 0.05


def test_a_label_of_weight_zero_is_unknown_and_a_heavier_one_decides() -> None:
    line = np.array([[0.0], [0.5], [1.0], [1.0], [1.5], [2.0]])
    y = np.array([0, -1, 0, 1, -1, 1])  # two equal rows with two labels

    def middle(*weights: float) -> int:
        model = LabelSpreadingClassifier(n_neighbors=2, scaling="none")
        model.fit(line, y, sample_weight=[1, 1, weights[0], weights[1], 1, 1])
        return int(model.transduction_[2])

    assert (middle(9, 1), middle(1, 9)) == (0, 1)
    assert (middle(1, 0), middle(0, 1)) == (0, 1)


@pytest.mark.parametrize("class_weight", [{0: 20.0}, "balanced"])
def test_the_weight_of_a_class_changes_the_final_model_only(class_weight) -> None:
    rows, truth = make_blobs(200, centers=3, random_state=1, cluster_std=4.0)
    y = np.where(np.arange(200) < 40, truth, -1)
    weights = np.random.default_rng(0).uniform(0.5, 2, size=200)
    plain, weighted = (
        LabelSpreadingClassifier(class_weight=one).fit(rows, y, sample_weight=weights) for one in (None, class_weight)
    )
    np.testing.assert_array_equal(plain.label_distributions_, weighted.label_distributions_)
    assert np.abs(plain.predict_proba(rows) - weighted.predict_proba(rows)).max() > 1e-3


def test_a_label_whose_weights_multiply_to_zero_is_unknown() -> None:
    rows, truth = make_blobs(60, centers=2, random_state=1)
    y, weights = np.where(np.arange(60) < 20, truth, -1), np.ones(60)
    first = np.flatnonzero(y == 0)[0]
    weights[first] = 1e-200
    found = LabelSpreadingClassifier(class_weight={0: 1e-200, 1: 1}).fit(rows, y, sample_weight=weights)
    weights[first] = 0
    expected = LabelSpreadingClassifier(class_weight={0: 1e-200, 1: 1}).fit(rows, y, sample_weight=weights)
    np.testing.assert_array_equal(found.label_distributions_, expected.label_distributions_)


def test_the_scale_of_rows_does_not_matter_to_their_neighbors(digits) -> None:
    images, y, _ = digits
    settings = {"scaling": "none", "final": "neighbors", "linear_weight": 0, "alpha": 0.9}
    plain, small = (LabelSpreadingClassifier(**settings).fit(one[:400], y[:400]) for one in (images, images * 2.0**-30))
    np.testing.assert_allclose(
        small.predict_proba(images[400:450] * 2.0**-30), plain.predict_proba(images[400:450]), atol=1e-4
    )


def test_dense_and_sparse_rows_mix(digits) -> None:
    images, y, _ = digits
    few = y >= 0
    for form in ("columns", "embedding"):
        dense = LabelSpreadingClassifier(scaling=form).fit(images[few], y[few], unlabeled=images[~few])
        mixed = LabelSpreadingClassifier(scaling=form).fit(
            images[few], y[few], unlabeled=sparse.csr_array(images[~few])
        )
        expected = dense.predict_proba(images[:20])
        np.testing.assert_allclose(mixed.predict_proba(sparse.csr_array(images[:20])), expected, atol=1e-6)


def test_equal_rows_are_one_node() -> None:
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -0.0]])
    distinct, inverse = _distinct(points)
    assert len(distinct) == 2
    torch.testing.assert_close(distinct[inverse], points)
    rows, truth = make_blobs(40, centers=2, random_state=3)
    rows, truth = np.repeat(rows, 15, axis=0), np.repeat(truth, 15)  # more copies than neighbors
    y = np.full(len(rows), -1)
    y[[np.flatnonzero(truth == 0)[0], np.flatnonzero(truth == 1)[0]]] = 0, 1
    assert (LabelSpreadingClassifier().fit(rows, y).transduction_ == truth).mean() > 0.95


def test_metadata_is_routed() -> None:
    rows, truth = make_blobs(60, centers=2, cluster_std=3.0, random_state=0)
    weights = np.ones(60)
    with sklearn.config_context(enable_metadata_routing=True):
        model = LabelSpreadingClassifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        assert len(cross_val_score(model, rows, truth, params={"sample_weight": weights}, cv=3)) == 3


def test_fits_side_by_side_give_what_they_give_alone(digits) -> None:
    images, y, _ = digits

    def fit(seed: int) -> np.ndarray:
        model = LabelSpreadingClassifier(graph="approximate", random_state=seed)
        return model.fit(images[:300], y[:300]).label_distributions_

    alone = [fit(seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as pool:
        for one, other in zip(alone, pool.map(fit, range(2)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_faiss_finds_the_same_neighbors(digits) -> None:
    pytest.importorskip("faiss")
    points = torch.from_numpy(digits[0][:500])
    found, exact = faiss_neighbors(points, 5)[0], nearest_neighbors(points, 5)[0]
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found.tolist(), exact.tolist(), strict=True)]) > 0.95


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 1.0}, "alpha must lie in 0 < alpha < 1; got 1.0"),
        ({"n_neighbors": 0}, "n_neighbors must be a whole number of at least 1; got 0"),
        ({"final": "tree"}, "final must be one of linear, neighbors; got 'tree'"),
        ({"confident_fraction": 1.5}, "0 < confident_fraction <= 1; got 1.5"),
    ],
)
def test_parameters_out_of_range(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelSpreadingClassifier(**change).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("factor", [1e308, 1e-310])
def test_only_the_ratios_of_priors_matter(factor: float) -> None:
    rows, y = np.arange(12.0)[:, None], np.array([0, *[-1] * 10, 1])
    expected, found = (
        LabelSpreadingClassifier(priors=priors).fit(rows, y).label_distributions_
        for priors in ([1, 1.5], [factor, 1.5 * factor])
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("priors", [[1.0], [1, 0], [1, np.nan], [[1, 1]], "uniform"])
def test_priors_that_are_none(priors) -> None:
    with pytest.raises(ValueError, match="priors must be 2 positive numbers, one a class"):
        LabelSpreadingClassifier(priors=priors).fit([[0.0], [1.0], [2.0]], [0, 1, -1])


def test_rows_that_are_all_the_same() -> None:
    with pytest.raises(ValueError, match="all rows of X are the same"):
        LabelSpreadingClassifier().fit(np.ones((6, 3)), [0, 1, -1, -1, -1, -1])


def of_times(seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two columns of times since 1970 (in units of `seconds`) in two classes a minute apart; half of the labels."""
    truth = np.arange(200) % 2
    times = 1.7e9 / seconds + (60 * truth[:, None] + np.random.RandomState(0).randint(0, 20, (200, 2))) / seconds
    return times.round().astype(np.int64), np.where(np.arange(200) < 100, truth, -1), truth


@pytest.mark.parametrize("seconds", [1.0, 1e-3])
@pytest.mark.parametrize("final", ["linear", "neighbors"])
def test_whole_numbers_keep_their_digits(seconds: float, final: str) -> None:
    times, y, truth = of_times(seconds)
    model = LabelSpreadingClassifier(final=final).fit(times, y)
    assert (model.predict(times) == truth).all()
    later = LabelSpreadingClassifier(final=final).fit(times[:120], y[:120], unlabeled=times[120:])
    assert (later.predict(times.astype(float)) == truth).all()
    assert (later.transduction_ == truth).all()


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
def test_nearest_rows_far_from_zero_are_found(offset: float) -> None:
    rows, truth = make_blobs(300, centers=[[0, 0], [3, 0], [0, 3]], cluster_std=0.3, random_state=0)
    y = np.where(np.arange(300) < 30, truth, -1)
    model = LabelSpreadingClassifier(scaling="none", final="neighbors").fit(rows[:200] + offset, y[:200])
    assert (model.predict(rows[200:] + offset) == truth[200:]).all()


@pytest.mark.parametrize(("dtype", "wanted"), [("uint8", "float32"), ("bool", "float32"), ("int64", "float64")])
def test_whole_numbers_of_few_digits_stay_in_float32(dtype: str, wanted: str) -> None:
    rows = np.random.RandomState(0).randint(0, 2, (20, 3)).astype(dtype)
    rows[:3] = np.eye(3)
    y = np.where(np.arange(20) < 10, np.arange(20) % 2, -1)
    for form in (rows, torch.from_numpy(rows), pd.DataFrame(rows, columns=list("abc")), sparse.csr_matrix(rows)):
        assert wanted in LabelSpreadingClassifier().fit(form, y).input_

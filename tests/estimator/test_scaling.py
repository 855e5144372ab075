"""Ranges: found, applied, undone, and refused where they do not fit."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import StandardScaler

from improved_gan.estimator.arrays import statistics
from improved_gan.estimator.scaling import (
    ColumnScale,
    EmbeddingScale,
    RangeScale,
    Scale,
    looks_like_embedding,
    select_scaler,
    unit_rows,
)


def chosen(array: np.ndarray, **options) -> Scale:
    return select_scaler([array], statistics([array]), is_image=array.ndim > 2, **options)


def images(low: float, high: float) -> np.ndarray:
    array = np.random.default_rng(0).uniform(low, high, size=(20, 4, 4))
    array[0, 0, 0], array[0, 0, 1] = low, high
    return array


@pytest.mark.parametrize(
    ("array", "range_"),
    [
        (images(0, 255).astype(np.uint8), (0, 255)),
        (images(0, 100).astype(np.uint8), (0, 255)),
        (images(0, 1), (0, 1)),
        (images(0, 0.8).astype(np.float32), (0, 1)),
        (images(-1, 1), (-1, 1)),
        (images(0, 255), (0, 255)),
        (images(0, 16), (0, 16)),
        (images(-3, 5), (-3, 5)),
        (load_digits().data, (0, 16)),
    ],
)
def test_the_range_of_pixels_is_found(array: np.ndarray, range_: tuple[float, float]) -> None:
    scale = chosen(array)
    assert isinstance(scale, RangeScale)
    assert (scale.low, scale.high) == pytest.approx(range_, rel=1e-6)
    scaled = scale.apply(array)
    assert scaled.dtype == np.float32
    assert scaled.min() >= 0
    assert scaled.max() <= 1
    np.testing.assert_allclose(scale.undo(scaled), array, atol=1e-4)


def test_tables_are_scaled_column_by_column_and_back() -> None:
    array = load_breast_cancer().data
    scale = chosen(array)
    assert isinstance(scale, ColumnScale)
    expected = 1 / (1 + np.exp(-1.5 * StandardScaler().fit_transform(array)))
    np.testing.assert_allclose(scale.apply(array), expected, atol=1e-6)
    within = np.abs(array - scale.mean) < 5 * scale.std  # farther out float32 has few digits left near 1
    error = np.abs(scale.undo(scale.apply(array)) - array) / scale.std
    assert error[within].max() < 1e-3
    assert isinstance(chosen(images(0, 1).reshape(20, 16)[:, :5]), ColumnScale)  # a handful of numbers is a table


def test_a_constant_column_stays_what_it_is() -> None:
    array = np.random.default_rng(0).normal(size=(30, 3))
    array[:, 1] = 7
    scale = chosen(array)
    np.testing.assert_allclose(scale.undo(scale.apply(array))[:, 1], 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_has_the_scale_1(dtype: type) -> None:
    """The mean of many equal numbers is rounded, so their standard deviation is 1e-15 or so, not 0."""
    array = np.random.default_rng(0).normal(size=(1000, 3)).astype(dtype)
    array[:, 1] = 0.1
    scale = chosen(array)
    assert isinstance(scale, ColumnScale)
    assert scale.std[1] == 1
    moved = array[:1] + dtype(0.2)
    np.testing.assert_allclose(scale.apply(moved)[0, 1], 1 / (1 + np.exp(-1.5 * 0.2)), atol=1e-6)


def test_rounding_of_a_constant_column_of_embeddings_is_not_scaled_up() -> None:
    rows = unit_rows(np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)) * np.float32(0.75**0.5)
    rows = np.insert(rows, 3, np.float32(0.5), axis=1)  # norms of 1, up to rounding
    scale = chosen(rows)
    assert isinstance(scale, EmbeddingScale)
    np.testing.assert_allclose(scale.apply(rows)[:, 3], 0.5, atol=1e-6)
    others = np.delete(scale.apply(rows), 3, axis=1)
    standard = StandardScaler().fit_transform(np.delete(unit_rows(rows), 3, axis=1))
    np.testing.assert_allclose(others, 1 / (1 + np.exp(-1.5 * standard)), atol=1e-4)


def test_the_user_may_say_which() -> None:
    array = load_digits().data
    assert isinstance(chosen(array, wanted="columns"), ColumnScale)
    assert chosen(images(0, 16), value_range=(0, 32)) == RangeScale(0, 32)
    assert chosen(load_breast_cancer().data, wanted="range").low == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value_range": (1, 0)}, "low < high"),
        ({"value_range": (0, 1)}, "X goes from 0 to 16"),
        ({"wanted": "columns"}, "images have one range"),
        ({"wanted": "rows"}, "'columns' or 'embedding'"),
    ],
)
def test_settings_that_do_not_fit(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chosen(images(0, 16), **options)


def test_pixels_out_of_the_range_of_fit_are_an_error_but_overshoot_is_clipped() -> None:
    scale = chosen(images(0, 1))
    with pytest.raises(ValueError, match=r"pixels from 0 to 255.*range is 0 to 1"):
        scale.apply(images(0, 255))
    assert scale.apply(np.array([[[-0.01, 1.02]]])).tolist() == [[[0, 1]]]
    with pytest.raises(
        ValueError, match="range is 0 to 255"
    ):  # nearly black: floats in 0 to 1 where bytes are expected
        chosen(images(0, 255).astype(np.uint8)).apply(images(0, 1))


def test_examples_that_are_all_the_same() -> None:
    with pytest.raises(ValueError, match="all examples of X are the same"):
        chosen(np.ones((5, 4, 4)))


def test_numbers_too_large_to_scale() -> None:
    with pytest.raises(ValueError, match="too large to scale"):
        chosen(np.array([[1e300, 1], [-1e300, 2], [0, 3]]))


@pytest.mark.parametrize(
    ("low", "width", "dtype"),
    [
        (1.0, 1e-9, np.float64),  # constant in float32
        (0.0, 1e39, np.float64),  # infinite in float32
        (0.0, 1e-39, np.float32),  # its inverse is infinite in float32
    ],
)
def test_ranges_that_float32_cannot_hold(low: float, width: float, dtype: type) -> None:
    array = (low + width * images(0, 1)).astype(dtype)
    scale = chosen(array)
    scaled = scale.apply(array)
    np.testing.assert_allclose(scaled, images(0, 1), atol=1e-5)
    np.testing.assert_allclose(scale.undo(scaled), array, atol=1e-6 * width, rtol=0)
    words = scale.describe().split(" to ")
    assert words[0] != words[1]


def test_a_range_that_nothing_can_hold_is_refused_in_fit() -> None:
    for array in (images(-1, 1) * 1.7e308, images(0, 1) * 1e-310):
        with pytest.raises(ValueError, match="multiply or divide X first"):
            chosen(array)


def test_embeddings_are_recognized_and_get_unit_rows() -> None:
    random = np.random.RandomState(0)
    features = random.gamma(1.0, size=(50, 300)).astype(np.float32)  # dense, no pixels
    unit = unit_rows(features[:, :32])
    for rows in (features, unit, unit.astype(np.float16)):
        scale = select_scaler([rows], statistics([rows]), is_image=False)
        assert isinstance(scale, EmbeddingScale)
        np.testing.assert_allclose(scale.apply(rows), scale.apply(3 * rows.astype(np.float64)), atol=2e-3)
        np.testing.assert_allclose(np.linalg.norm(scale.undo(scale.apply(rows)), axis=1), 1, atol=1e-3)
    few = features[:, :200]
    assert isinstance(select_scaler([few], statistics([few]), is_image=False), ColumnScale)
    with pytest.raises(ValueError, match="scaling='embedding' is for rows of features"):
        select_scaler([unit], statistics([unit]), is_image=True, wanted="embedding")


def test_features_of_which_half_are_zero_are_embeddings() -> None:
    """As after a ReLU: in the first class fewer are positive than in the others."""
    random = np.random.default_rng(0)
    rows = np.maximum(random.normal(size=(3000, 300)) + np.repeat([-0.6, 0.2, 0.2], 1000)[:, None], 0)
    assert (rows[:1000] > 0).mean() < 0.3 < (rows > 0).mean() < 0.6
    assert looks_like_embedding(rows)
    assert not looks_like_embedding(rows * (random.random(rows.shape) < 0.2))  # counts of words, one-hot columns

"""Axes."""

import numpy as np
import pytest

from improved_gan.estimator.layout import Layout, find_layout


@pytest.mark.parametrize(
    ("shape", "axes", "image"),
    [
        ((5, 7), "features", (1, 1, 7)),
        ((5, 8, 9), "HW", (1, 8, 9)),
        ((5, 3, 8, 9), "CHW", (3, 8, 9)),
        ((5, 8, 9, 3), "HWC", (3, 8, 9)),
        ((5, 1, 8, 9), "CHW", (1, 8, 9)),
        ((5, 8, 9, 4), "HWC", (4, 8, 9)),
    ],
)
def test_the_axes_are_found(shape: tuple[int, ...], axes: str, image: tuple[int, ...]) -> None:
    layout = find_layout(shape)
    assert layout == Layout(axes, image)
    assert layout.example_shape == shape[1:]
    examples = np.random.default_rng(0).random(shape)
    first = layout.channels_first(examples)
    assert first.shape == (5, *image)
    np.testing.assert_array_equal(layout.as_given(first), examples)
    if axes == "HWC":
        np.testing.assert_array_equal(first, examples.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 3, 8, 3), "could be both.*layout='NCHW'"),
        ((5, 8, 8, 8), "no axis of 1 to 4 channels"),
        ((5,), "1 axes"),
        ((5, 2, 2, 2, 2), "5 axes"),
        ((5, 0), "0 feature"),
    ],
)
def test_what_is_unclear_is_asked_for(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_layout(shape)


def test_the_user_may_say_which() -> None:
    assert find_layout((5, 3, 8, 3), "NHWC").shape == (3, 3, 8)
    assert find_layout((5, 64, 8, 8), "NCHW").shape == (64, 8, 8)
    with pytest.raises(ValueError, match="auto, NCHW, NHWC"):
        find_layout((5, 3, 8, 3), "CHWN")

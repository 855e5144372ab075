"""From the user's arrays to networks and back."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator

from improved_gan.estimator.inputs import InputSpec, validate_input, warn_of_flat_images


def test_every_layout_gives_the_same_images() -> None:
    first = np.random.default_rng(0).integers(0, 256, size=(6, 3, 6, 5), dtype=np.uint8)
    last = np.ascontiguousarray(first.transpose(0, 2, 3, 1))
    form, other = InputSpec.learn([first]), InputSpec.learn([last])
    torch.testing.assert_close(form.ready(first), torch.from_numpy(first) / 255, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(other.ready(last), form.ready(first))
    np.testing.assert_array_equal(other.restore(other.ready(last)), last)
    assert "HWC 6 x 5 x 3, uint8, scaled from 0 to 255" in other.describe()


def test_parts_must_agree() -> None:
    gray, color = np.random.rand(4, 8, 8, 1), np.random.rand(4, 8, 8, 3)
    with pytest.raises(ValueError, match=r"one shape.*number of channels"):
        InputSpec.learn([gray, color])
    with pytest.raises(ValueError, match="uint8 and unlabeled float64"):
        InputSpec.learn([(gray * 255).astype(np.uint8), gray])
    with pytest.raises(ValueError, match=r"fitted on \(8, 8, 1\)"):
        InputSpec.learn([gray]).check(color)


class Remembering(BaseEstimator):
    """Stands in for an estimator."""


def test_tables_are_remembered_by_their_features_and_images_are_not() -> None:
    estimator = Remembering()
    validate_input(estimator, [[1, 2], [3, 4]], reset=True)
    assert estimator.n_features_in_ == 2
    with pytest.raises(ValueError, match="expecting 2 features"):
        validate_input(estimator, [[1, 2, 3]], reset=False)
    validate_input(estimator, np.zeros((2, 3, 3)), reset=True)
    assert not vars(estimator)


def test_images_of_one_color_are_warned_of() -> None:
    array = np.random.rand(5, 4, 4)
    array[3] = 0.5
    with pytest.warns(UserWarning, match=r"1 images hold one color throughout \(the first is row 3\)"):
        warn_of_flat_images(InputSpec.learn([array]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint64, np.bool_, np.float16])
def test_restored_numbers_stay_within_their_type(dtype) -> None:
    high = 1 if dtype is np.bool_ else np.finfo(dtype).max if dtype is np.float16 else np.iinfo(dtype).max
    low = 0 if np.dtype(dtype).kind in "bu" else -high
    table = np.array([[low, 0], [high, 1]] * 10, dtype=dtype)
    form = InputSpec.learn([table], scaling="columns")
    restored = form.restore(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, 1, 2))  # far out of what was seen
    assert restored.dtype == dtype
    assert restored[0, 0] <= low < 0.9 * high <= restored[1, 0]
    assert np.isfinite(restored.astype(float)).all()

"""Arrays, tensors and lists as they come, and statistics in one pass."""

import numpy as np
import pytest
import torch

from improved_gan.estimator.arrays import as_array, chunks, statistics


def test_tensors_become_arrays_without_a_copy() -> None:
    tensor = torch.rand(3, 4)
    assert np.shares_memory(as_array(tensor), tensor.numpy())
    assert as_array(torch.ones(2, 2, dtype=torch.bfloat16)).dtype == np.float32


def test_images_of_one_shape_in_a_list_are_stacked() -> None:
    assert as_array([np.zeros((4, 5)), torch.zeros(4, 5)]).shape == (2, 4, 5)


def test_mixed_channels_are_named_with_their_counts() -> None:
    images = [np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), np.zeros((8, 8))]
    with pytest.raises(ValueError, match=r"2 of shape \(8, 8, 3\), 1 of shape \(8, 8\).*convert\('RGB'\)"):
        as_array(images)
    ragged = np.empty(2, dtype=object)
    ragged[:] = images[1:]
    with pytest.raises(ValueError, match="one shape"):
        as_array(ragged)


def test_statistics_are_those_of_numpy_over_several_parts() -> None:
    first, second = np.random.default_rng(0).normal(size=(7, 2, 3)), np.arange(12.0).reshape(2, 2, 3)
    second[1] = 4.0
    seen = statistics([first, second])
    together = np.concatenate([first, second]).reshape(9, 6)
    np.testing.assert_array_equal(seen.low, together.min(0))
    np.testing.assert_array_equal(seen.high, together.max(0))
    assert not seen.whole_numbers
    assert seen.flat_rows.tolist() == [8]
    assert statistics([np.arange(6).reshape(2, 3)]).whole_numbers


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_counted_and_the_first_is_named(bad: float) -> None:
    rows = np.zeros((10, 3))
    rows[[4, 7], 1] = bad
    with pytest.raises(ValueError, match=r"NaN or infinity in 2 of 10 rows \(the first is row 4\)"):
        statistics([rows])


def test_chunks_cover_all_rows_in_order() -> None:
    array = np.arange(5 * 2**21, dtype=np.float32).reshape(5, 2**21)
    pieces = list(chunks(array))
    assert [len(piece) for piece in pieces] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(pieces), array)

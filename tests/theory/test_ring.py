import numpy as np
import pytest
import torch

from improved_gan.theory.ring import MODES, STD, ring_coverage, sample_ring


def test_samples_are_eight_equal_gaussians() -> None:
    points = sample_ring(40_000, torch.Generator().manual_seed(0)).numpy()
    nearest = np.linalg.norm(points[:, None] - MODES, axis=-1).argmin(1)
    np.testing.assert_allclose(np.bincount(nearest) / len(points), np.full(8, 1 / 8), atol=0.01)
    assert (points - MODES[nearest]).std() == pytest.approx(STD, rel=0.02)
    np.testing.assert_allclose(np.linalg.norm(MODES, axis=1), 2.0)


def test_coverage_of_real_data_is_nearly_perfect() -> None:
    modes, good = ring_coverage(sample_ring(20_000, torch.Generator().manual_seed(0)).numpy())
    assert modes == 8
    assert good == pytest.approx(1 - np.exp(-4.5), abs=0.004)  # P(radius <= 3 std) of a Gaussian in the plane


def test_a_gaussian_counts_from_one_percent_on() -> None:
    points = np.repeat(MODES[[0, 3, 5]], [98, 1, 1], axis=0)
    points[-1] += 3.01 * STD * np.array([0.0, 1.0])  # just too far
    modes, good = ring_coverage(np.stack([points, np.zeros_like(points)]))
    np.testing.assert_array_equal(modes, [2, 0])
    np.testing.assert_allclose(good, [0.99, 0])


@pytest.mark.parametrize("shape", [(2,), (0, 2), (4, 3)])
def test_wrong_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(\.\.\., P, 2\) with P >= 1; got"):
        ring_coverage(np.zeros(shape))

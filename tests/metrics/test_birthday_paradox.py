import numpy as np
import pytest
import torch

from improved_gan.metrics import MetricError, duplicate_threshold, support_size


def test_a_known_number_of_images_is_found() -> None:
    """A generator that makes 5,000 different images, seen through 1,000 samples."""
    images = torch.randn(5000, 8, generator=torch.Generator().manual_seed(0))
    found = []
    for seed in range(12):
        drawn = torch.randint(5000, (1000,), generator=torch.Generator().manual_seed(seed))
        result = support_size(images[drawn], rows=300)
        assert result.num_distinct == len(drawn.unique())
        counts = torch.bincount(drawn)
        assert result.num_pairs == int((counts * (counts - 1) // 2).sum())
        found.append(result)
    assert 1 / np.mean([1 / one.support for one in found]) == pytest.approx(5000, rel=0.12)
    assert sum(one.interval[0] <= 5000 <= one.interval[1] for one in found) >= 10


def test_no_pair_is_a_lower_bound() -> None:
    found = support_size(torch.randn(100, 8))
    assert (found.num_pairs, found.num_distinct, found.support) == (0, 100, float("inf"))
    assert found.interval[0] == pytest.approx(100 * 99 / 2 / 3.689, rel=1e-3)  # Poisson: 3.689 is 97.5% for 0
    assert found.interval[1] == float("inf")


def test_a_threshold_joins_near_ones_and_gives_the_nearest_first() -> None:
    samples = torch.tensor([[0.0], [10.0], [10.3], [20.0], [20.1], [20.2]])
    found = support_size(samples, threshold=0.5)
    assert found.num_pairs == 4
    assert found.num_distinct == 3
    assert sorted(found.pairs[:2].tolist()) == [[3, 4], [4, 5]]
    assert support_size(samples, threshold=0.15).num_pairs == 2


def test_the_threshold_is_the_nearest_two_real_images() -> None:
    assert duplicate_threshold(torch.tensor([[0.0], [5.0], [7.5], [100.0]])) == pytest.approx(2.5)
    assert duplicate_threshold(torch.tensor([[0.0], [0.0], [5.0], [7.5], [7.5]])) == pytest.approx(2.5)
    with pytest.raises(MetricError, match="2 different images are needed"):
        duplicate_threshold(torch.ones(4, 2))


def test_bad_input() -> None:
    with pytest.raises(MetricError, match="at least 2 samples; got 1"):
        support_size(torch.zeros(1, 3))
    with pytest.raises(MetricError, match="NaN"):
        support_size(torch.full((3, 3), torch.nan))

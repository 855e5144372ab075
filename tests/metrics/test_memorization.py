import pytest
import torch

from improved_gan.metrics import MetricError, memorization


def draw(num: int, seed: int) -> torch.Tensor:
    return torch.randn(num, 16, generator=torch.Generator().manual_seed(seed))


def test_fresh_images_are_too_near_as_often_as_expected() -> None:
    found = memorization(draw(1500, 0), draw(1500, 1))
    assert found.near_copy == pytest.approx(found.expected, abs=0.05)  # 0.31 +- 2 std of 0.012
    assert 0.2 < found.expected < 0.5
    assert found.copies == 0


def test_copies_and_near_copies_are_found_with_their_originals() -> None:
    training = draw(200, 0)
    order = torch.randperm(200)
    found = memorization(training[order], training, k=2)
    assert found.indices[:, 0].equal(order)
    assert (found.near_copy, found.copies) == (1.0, 200)
    assert found.expected < 0.6
    near = memorization(training[order] + 0.1 * draw(200, 1), training)
    assert near.indices[:, 0].equal(order)
    assert near.near_copy == 1.0
    assert near.copies == 0


def test_copies_within_the_training_set_hide_nothing() -> None:
    training = draw(200, 0)
    twice = torch.cat([training, training, training[:50]])
    plain, found = memorization(training, training), memorization(training, twice)
    assert (found.near_copy, found.copies) == (1.0, 200)
    assert found.expected == plain.expected
    near = memorization(training + 0.1 * draw(200, 1), twice)
    assert (near.near_copy, near.copies) == (1.0, 0)
    fresh = draw(300, 2)
    assert memorization(fresh, twice).near_copy == memorization(fresh, training).near_copy


def test_copies_with_the_rounding_of_a_network_are_copies() -> None:
    training = 1000 + draw(200, 0)
    found = memorization(training * (1 + 1e-7), torch.cat([training, training]))
    assert (found.near_copy, found.copies) == (1.0, 200)


def test_bad_input() -> None:
    with pytest.raises(MetricError, match="2 nearest neighbors need at least 2 other images; got 0"):
        memorization(draw(3, 0), draw(1, 1))
    with pytest.raises(MetricError, match="3 different images are needed; of 8 only 2 are not copies"):
        memorization(draw(3, 0), draw(2, 1).repeat(4, 1))

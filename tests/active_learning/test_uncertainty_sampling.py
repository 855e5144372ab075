import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.active_learning.uncertainty_sampling import entropy, farthest_first


@given(st.lists(st.lists(st.floats(-30, 30), min_size=4, max_size=4), min_size=1, max_size=6))
def test_entropy_is_that_of_scipy_in_nats(logits: list[list[float]]) -> None:
    log_probabilities = torch.tensor(logits, dtype=torch.float64).log_softmax(1)
    expected = scipy.stats.entropy(log_probabilities.exp().numpy(), axis=1)
    np.testing.assert_allclose(entropy(log_probabilities), expected, atol=1e-12)


def test_entropy_at_its_ends() -> None:
    certain = torch.tensor([[0.0, -math.inf, -math.inf]], dtype=torch.float64)
    assert entropy(certain).item() == 0
    assert math.isclose(entropy(torch.full((1, 7), 1 / 7, dtype=torch.float64).log()).item(), math.log(7))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_row_without_probabilities_is_no_certain_image(number: float) -> None:
    rows = torch.full((3, 4), 0.25).log()
    rows[1, 2] = number
    with pytest.raises(ValueError, match=r"1 of 3 rows hold others: the network fails on these images"):
        entropy(rows)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_entropy_in_lower_precision(dtype: torch.dtype) -> None:
    logits = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) * 5
    rows = logits.to(dtype).log_softmax(1)
    expected = scipy.stats.entropy(rows.double().exp().numpy(), axis=1)
    np.testing.assert_allclose(entropy(rows).double(), expected, atol=0.05)


@given(st.integers(0, 1000), st.integers(2, 6))
def test_farthest_first_covers_within_twice_the_best(seed: int, num: int) -> None:
    """Gonzalez' bound, the best cover of 9 points found by trying all choices."""
    import itertools

    features = torch.from_numpy(np.random.default_rng(seed).normal(size=(9, 2)))
    scaled = (features / features.std(0, correction=0)).numpy()
    distances = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
    chosen = farthest_first(features, num)
    assert len(set(chosen)) == num
    best = min(distances[list(some)].min(0).max() for some in itertools.combinations(range(9), num))
    assert distances[chosen].min(0).max() <= 2 * best + 1e-9


def test_a_row_without_distances_is_not_the_farthest() -> None:
    features = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    features[4, 1] = math.nan
    with pytest.raises(ValueError, match="1 of 6 rows of features hold NaN or infinity"):
        farthest_first(features, 3)


def test_alike_rows_are_each_taken_once() -> None:
    assert sorted(farthest_first(torch.ones(4, 3), 9)) == [0, 1, 2, 3]
    assert farthest_first(torch.zeros(0, 3), 2) == []

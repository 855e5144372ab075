from fractions import Fraction
from math import comb

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from improved_gan.theory.binomial import binomial_log_probabilities


@settings(deadline=None)
@given(num_draws=st.integers(1, 400), probability=st.floats(1e-6, 1 - 1e-6))
def test_agrees_with_scipy(num_draws: int, probability: float) -> None:
    ours = binomial_log_probabilities(num_draws, probability)
    expected = scipy.stats.binom.logpmf(np.arange(num_draws + 1), num_draws, probability)
    np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-11)
    assert np.exp(ours).sum() == pytest.approx(1, rel=1e-13)


@pytest.mark.parametrize("k", [1, 7, 1800, 2000, 2001, 2200, 9999])
def test_ten_thousand_draws_against_exact_fractions(k: int) -> None:
    p = Fraction(0.2)  # the double itself, not one fifth
    numerator, denominator = (comb(10_000, k) * p**k * (1 - p) ** (10_000 - k)).as_integer_ratio()
    shift = denominator.bit_length() - numerator.bit_length()
    exact = np.log(float(Fraction(numerator << shift, denominator))) - shift * np.log(2)
    assert binomial_log_probabilities(10_000, 0.2)[k] == pytest.approx(exact, rel=1e-14, abs=5e-14)


def test_broadcasts_and_knows_what_cannot_happen() -> None:
    ours = binomial_log_probabilities(3, [[0.0], [1.0]])
    assert ours.shape == (2, 1, 4)
    np.testing.assert_array_equal(ours[:, 0], [[0, -np.inf, -np.inf, -np.inf], [-np.inf, -np.inf, -np.inf, 0]])
    np.testing.assert_allclose(np.exp(binomial_log_probabilities(1, 0.3)), [0.7, 0.3])


@pytest.mark.parametrize(("num_draws", "probability"), [(0, 0.5), (3, 1.5), (3, float("nan"))])
def test_bad_use(num_draws: int, probability: float) -> None:
    with pytest.raises(ValueError, match=f"are required; got {num_draws} and {probability}"):
        binomial_log_probabilities(num_draws, probability)

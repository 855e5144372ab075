from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import xlogy
from scipy.stats import norm

from improved_gan.theory.divergences import (
    bernoulli_minibatch_divergence,
    bernoulli_preference_divergence,
    binomial_log_probabilities,
    gaussian_divergence,
    gaussian_preference_divergence,
    jensen_shannon_terms,
    kullback_leibler_terms,
)


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


chances = st.floats(1e-4, 1 - 1e-4)


def kl_of(p, q) -> float:
    """KL between two lists of probabilities, from the definition."""
    return sum(a * np.log2(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def js_of(p, q) -> float:
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (kl_of(p, middle) + kl_of(q, middle)) / 2


def minibatches(p: float, num_draws: int) -> list[float]:
    """The probability of each of the 2^N minibatches."""
    return [float(np.prod([p if one else 1 - p for one in batch])) for batch in product((0, 1), repeat=num_draws)]


DIVERGENCES = [(jensen_shannon_terms, js_of), (kullback_leibler_terms, kl_of)]


@pytest.mark.parametrize(("terms", "definition"), DIVERGENCES)
@pytest.mark.parametrize("num_draws", [1, 2, 3, 8])
@pytest.mark.parametrize("q", [0.01, 0.2, 0.35, 0.9])
def test_counts_are_a_sufficient_statistic_of_minibatches(terms, definition, num_draws: int, q: float) -> None:
    ours = bernoulli_minibatch_divergence(0.2, q, num_draws, terms=terms)
    expected = definition(minibatches(0.2, num_draws), minibatches(q, num_draws))
    assert ours == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(("terms", "definition"), DIVERGENCES)
@pytest.mark.parametrize("num_draws", [1, 2, 4])
@pytest.mark.parametrize("q", [0.01, 0.2, 0.9])
def test_preference_uses_both_orders(terms, definition, num_draws: int, q: float) -> None:
    real, generated = minibatches(0.2, num_draws), minibatches(q, num_draws)
    expected = definition([a * b for a, b in product(real, generated)], [a * b for a, b in product(generated, real)])
    ours = bernoulli_preference_divergence(0.2, q, num_draws, terms=terms)
    assert ours == pytest.approx(expected, rel=1e-12, abs=1e-14)


@settings(deadline=None)
@given(p=chances, q=chances, num_draws=st.integers(1, 10_000))
def test_kl_of_minibatches_is_n_times_kl(p: float, q: float, num_draws: int) -> None:
    one = bernoulli_minibatch_divergence(p, q, 1, terms=kullback_leibler_terms)
    many = bernoulli_minibatch_divergence(p, q, num_draws, terms=kullback_leibler_terms)
    assert many == pytest.approx(num_draws * one, rel=1e-12)


@settings(deadline=None)
@given(p=chances, gap=st.floats(1e-9, 1e-3))
def test_kl_does_not_cancel_for_close_distributions(p: float, gap: float) -> None:
    q = p * (1 - gap)
    gap = (p - q) / q
    exact = p * np.log1p(gap) + (1 - p) * np.log1p((q - p) / (1 - q))  # cancels; good to 1e-16/gap only
    ours = bernoulli_minibatch_divergence(p, q, 1, terms=kullback_leibler_terms) * np.log(2)
    assert ours == pytest.approx(exact, rel=1e-3, abs=1e-15 * gap)
    many = bernoulli_minibatch_divergence(p, q, 1000, terms=kullback_leibler_terms) * np.log(2)
    assert many == pytest.approx(1000 * ours, rel=1e-12)


@settings(deadline=None)
@given(p=chances, q=chances, sizes=st.lists(st.integers(1, 3000), min_size=2, max_size=4))
def test_js_over_n_never_increases_and_js_never_decreases(p: float, q: float, sizes: list[int]) -> None:
    js = np.array([bernoulli_minibatch_divergence(p, q, size) for size in sorted(sizes)])
    assert np.all(np.diff(js / np.sort(sizes)) <= 1e-12 * js[1:])
    assert np.all(np.diff(js) >= -1e-12 * js[1:])
    assert np.all(js <= 1 + 1e-12)


@settings(deadline=None)
@given(p=chances, q=chances, num_draws=st.integers(1, 60))
def test_js_is_symmetric_and_preference_kl_is_both_kls(p: float, q: float, num_draws: int) -> None:
    forth, back = (bernoulli_minibatch_divergence(*pair, num_draws) for pair in ((p, q), (q, p)))
    assert forth == pytest.approx(back, rel=1e-12)
    both = sum(
        bernoulli_minibatch_divergence(*pair, num_draws, terms=kullback_leibler_terms) for pair in ((p, q), (q, p))
    )
    ours = bernoulli_preference_divergence(p, q, num_draws, terms=kullback_leibler_terms)
    assert ours == pytest.approx(both, rel=1e-11, abs=1e-300)


def test_certain_draws() -> None:
    assert bernoulli_minibatch_divergence(0.2, 0.0, 3, terms=kullback_leibler_terms) == np.inf
    assert bernoulli_minibatch_divergence(0.0, 0.2, 3, terms=kullback_leibler_terms) == pytest.approx(-3 * np.log2(0.8))
    np.testing.assert_allclose(bernoulli_minibatch_divergence([0.0, 1.0, 0.0], [1.0, 0.0, 0.0], 2), [1, 1, 0])
    assert bernoulli_minibatch_divergence(0.2, 0.2, 10_000) == 0
    assert bernoulli_minibatch_divergence(0.2, 0.3, 10_000) == pytest.approx(1, abs=1e-12)


def test_broadcasts() -> None:
    grid = bernoulli_minibatch_divergence([[0.2], [0.7]], [0.1, 0.5, 0.9], 5)
    assert grid.shape == (2, 3)
    assert grid[1, 0] == bernoulli_minibatch_divergence(0.7, 0.1, 5)
    pairs = bernoulli_preference_divergence([[0.2], [0.7]], [0.1, 0.5, 0.9], 5)
    assert pairs.shape == (2, 3)
    assert pairs[1, 0] == bernoulli_preference_divergence(0.7, 0.1, 5)


def test_bad_use_divergences() -> None:
    with pytest.raises(ValueError, match="are required; got 0"):
        bernoulli_minibatch_divergence(0.2, 0.3, 0)
    with pytest.raises(ValueError, match=r"strictly between 0 and 1; got 0.2 and 0.0"):
        bernoulli_preference_divergence(0.2, 0.0)


@settings(max_examples=50, deadline=None)
@given(mean=st.floats(-4, 4), std_p=st.floats(0.05, 5), std_q=st.floats(0.05, 5))
def test_gaussian_kl_agrees_with_its_closed_form(mean: float, std_p: float, std_q: float) -> None:
    exact = np.log(std_q / std_p) + (std_p**2 + mean**2) / (2 * std_q**2) - 0.5
    assume(exact > 1e-6)  # the closed form itself cancels below
    ours = gaussian_divergence(mean, std_p, 0.0, std_q, terms=kullback_leibler_terms)
    assert ours * np.log(2) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.2), (1.0, 1.0), (2.5, 0.7), (0.0, 1.05)])
def test_gaussian_js_agrees_with_scipy(mean: float, std: float) -> None:
    def integrand(x: float) -> float:
        p, q = norm.pdf(x), norm.pdf(x, mean, std)
        return (xlogy(p, 2 * p / (p + q)) + xlogy(q, 2 * q / (p + q))) / np.log(4)

    expected = sum(quad(integrand, a, a + 1, epsabs=1e-13)[0] for a in range(-8, 8))
    assert gaussian_divergence(0.0, 1.0, mean, std) == pytest.approx(expected, rel=1e-8, abs=1e-11)


def test_gaussian_preference_agrees_with_a_plain_sum() -> None:
    x = np.linspace(-9, 9, 1801)
    p, q = norm.pdf(x), norm.pdf(x, 1, 0.5)
    a, b = np.outer(p, q), np.outer(q, p)
    expected = (xlogy(a, 2 * a / (a + b)) + xlogy(b, 2 * b / (a + b))).sum() * 0.01**2 / np.log(4)
    assert gaussian_preference_divergence(0.0, 1.0, 1.0, 0.5) == pytest.approx(expected, rel=1e-9)
    both = [gaussian_divergence(*pair, terms=kullback_leibler_terms) for pair in ((0, 1, 1, 0.5), (1, 0.5, 0, 1))]
    ours = gaussian_preference_divergence(0.0, 1.0, 1.0, 0.5, terms=kullback_leibler_terms)
    assert ours == pytest.approx(sum(both), rel=1e-10)


def test_bad_use_gaussian_divergences() -> None:
    with pytest.raises(ValueError, match=r"must be positive; got 1.0 and 0.0"):
        gaussian_divergence(0.0, 1.0, 0.0, 0.0)

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import xlogy
from scipy.stats import norm

from improved_gan.theory.divergences import kullback_leibler_terms
from improved_gan.theory.gaussian_divergences import gaussian_divergence, gaussian_preference_divergence


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


def test_bad_use() -> None:
    with pytest.raises(ValueError, match=r"must be positive; got 1.0 and 0.0"):
        gaussian_divergence(0.0, 1.0, 0.0, 0.0)

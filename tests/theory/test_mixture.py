import numpy as np
import pytest
from scipy.stats import norm

from improved_gan.theory.mixture import Mixture

MIXTURE = Mixture((0.3, 0.7), (-2.0, 1.0), (0.5, 1.5))
X = np.linspace(-6, 6, 25)


def density(x: np.ndarray) -> np.ndarray:
    return 0.3 * norm.pdf(x, -2, 0.5) + 0.7 * norm.pdf(x, 1, 1.5)


def test_density_and_score_against_scipy() -> None:
    np.testing.assert_allclose(np.exp(MIXTURE.log_density(X)), density(X), rtol=1e-12)
    h = 1e-5
    slope = (np.log(density(X + h)) - np.log(density(X - h))) / (2 * h)
    np.testing.assert_allclose(MIXTURE.score(X), slope, rtol=1e-6, atol=1e-8)


def test_no_overflow_far_from_the_means() -> None:
    assert np.isfinite(MIXTURE.log_density(1e6))
    assert MIXTURE.score(1e6) == pytest.approx(-(1e6 - 1) / 1.5**2)


def test_samples_follow_the_density() -> None:
    samples = MIXTURE.sample((400, 100), np.random.default_rng(0))
    assert samples.shape == (400, 100)
    x = np.linspace(-4, 5, 19)
    expected = 0.3 * norm.cdf(x, -2, 0.5) + 0.7 * norm.cdf(x, 1, 1.5)
    np.testing.assert_allclose((samples.ravel()[:, None] < x).mean(0), expected, atol=0.01)


@pytest.mark.parametrize("arguments", [((0.5, 0.4), (0, 1), (1, 1)), ((1.0,), (0, 1), (1,)), ((1.0,), (0,), (0,))])
def test_incomplete_mixtures_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match=r"as many positive weights \(of sum 1\).*got Mixture"):
        Mixture(*arguments)

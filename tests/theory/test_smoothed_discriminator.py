import csv
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from improved_gan.theory import smoothed_discriminator as exhibit
from improved_gan.theory.smoothed_discriminator import (
    Mixture,
    generator_gradient,
    optimal_discriminator,
    train_discriminators,
)

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


DATA, GENERATOR = Mixture((1.0,), (1.5,), (0.6,)), Mixture((0.5, 0.5), (-2.0, 1.0), (0.5, 0.8))


@settings(deadline=None)
@given(p=st.floats(0.01, 10), q=st.floats(0.01, 10), alpha=st.floats(0.6, 1), beta=st.floats(0, 0.4))
def test_optimum_minimizes_the_smoothed_cross_entropy(p: float, q: float, alpha: float, beta: float) -> None:
    def loss(d: float) -> float:
        real = alpha * np.log(d) + (1 - alpha) * np.log(1 - d)
        return -p * real - q * (beta * np.log(d) + (1 - beta) * np.log(1 - d))

    best = minimize_scalar(loss, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-10}).x
    ours = optimal_discriminator(np.log(p), np.log(q), positive_target=alpha, negative_target=beta)
    assert ours == pytest.approx((alpha * p + beta * q) / (p + q), rel=1e-12)
    assert ours == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.9, 0.0), (0.9, 0.1), (0.75, 0.25)])
def test_the_gradient_is_the_derivative_of_log_d(alpha: float, beta: float) -> None:
    def log_d(x: np.ndarray) -> np.ndarray:
        p, q = DATA.log_density(x), GENERATOR.log_density(x)
        return np.log(optimal_discriminator(p, q, positive_target=alpha, negative_target=beta))

    x, h = np.linspace(-3, 3, 31), 1e-5
    ours = generator_gradient(x, DATA, GENERATOR, positive_target=alpha, negative_target=beta)
    np.testing.assert_allclose(ours, (log_d(x + h) - log_d(x - h)) / (2 * h), rtol=1e-5, atol=1e-6)


def test_only_beta_removes_the_gradient_where_there_are_no_data() -> None:
    x = np.linspace(-6, -2, 9)
    plain = generator_gradient(x, DATA, GENERATOR, positive_target=1.0)
    np.testing.assert_array_equal(generator_gradient(x, DATA, GENERATOR, positive_target=0.6), plain)
    assert np.all(plain > 4)
    assert np.all(np.abs(generator_gradient(x, DATA, GENERATOR, negative_target=0.1)) < 1e-4)
    assert np.isfinite(generator_gradient(1e4, DATA, GENERATOR))


def test_trained_networks_converge_to_the_optimum() -> None:
    x = np.linspace(-2.5, 2.5, 51)
    targets = [(0.9, 0.0), (0.9, 0.1)]
    values, gradients = train_discriminators(x, DATA, GENERATOR, targets, seed=1)
    assert values.shape == gradients.shape == (2, 51)
    for (alpha, beta), value in zip(targets, values, strict=True):
        p, q = DATA.log_density(x), GENERATOR.log_density(x)
        best = optimal_discriminator(p, q, positive_target=alpha, negative_target=beta)
        assert np.abs(value - best).mean() < 0.015
        assert np.abs(value - best).max() < 0.05
    outliers = np.abs(x + 2) < 0.3
    assert gradients[0, outliers].min() > 2
    assert np.abs(gradients[1, outliers]).max() < 0.3


def test_seed_decides() -> None:
    x = np.zeros(1)
    first, again, other = (
        train_discriminators(x, DATA, GENERATOR, [(0.9, 0.0)], seed=seed, num_steps=3)[0] for seed in (0, 0, 1)
    )
    assert first == again != other


def test_bad_use() -> None:
    with pytest.raises(ValueError, match=r"0 <= negative_target < positive_target <= 1; got 0.9 and 0.5"):
        optimal_discriminator(0.0, 0.0, positive_target=0.5, negative_target=0.9)
    with pytest.raises(ValueError, match=r"shape \(S, 2\), alpha and beta of each network; got \(2,\)"):
        train_discriminators([0.0], DATA, GENERATOR, [0.9, 0.0])


def test_files_and_text(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhibit, "train_discriminators", partial(train_discriminators, num_steps=150))
    files, words = exhibit.smoothed_discriminator_demo(tmp_path, 0)
    assert [file.name for file in files] == ["smoothed_discriminator.png", "smoothed_discriminator.csv"]
    assert all(file.stat().st_size < 200_000 for file in files)
    assert "So beta = 0" in words
    rows = list(csv.DictReader((tmp_path / "smoothed_discriminator.csv").read_text().splitlines()))
    columns = {name: np.array([float(row[name]) for row in rows]).reshape(3, -1) for name in rows[0]}
    assert np.abs(columns["trained"] - columns["optimum"]).mean() < 0.03
    outliers = np.abs(columns["x"][0] + 2) < 0.3
    assert columns["trained_gradient"][:2, outliers].min() > 1
    assert np.abs(columns["trained_gradient"][2, outliers]).max() < 0.5
    np.testing.assert_array_equal(columns["optimal_gradient"][0], columns["optimal_gradient"][1])

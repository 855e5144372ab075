import numpy as np
import pytest
import torch
from torch import Tensor

from improved_gan.metrics import (
    FeatureStatistics,
    MetricError,
    extrapolated_frechet_distance,
    feature_frechet_distance,
    frechet_distance,
)
from tests.oracles import metrics as oracle


def features(num: int, size: int = 12, *, seed: int = 0, shift: float = 0.0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    mix = torch.randn(size, size, generator=source, dtype=torch.float64)
    return torch.randn(num, size, generator=source, dtype=torch.float64) @ mix + shift


def both(x: Tensor, y: Tensor) -> tuple[float, float]:
    return frechet_distance(FeatureStatistics.of(x), FeatureStatistics.of(y)), feature_frechet_distance(x, y)


def test_it_is_the_formula_with_scipys_square_root() -> None:
    x, y = features(300), features(200, seed=1, shift=0.3)
    expected = oracle.frechet_distance(x.numpy(), y.numpy())
    assert both(x, y) == (pytest.approx(expected, rel=1e-9), pytest.approx(expected, rel=1e-9))


def test_closed_form_of_diagonal_gaussians() -> None:
    first = FeatureStatistics.from_moments(100, torch.tensor([0.0, 1.0]), torch.diag(torch.tensor([1.0, 4.0])))
    second = FeatureStatistics.from_moments(100, torch.tensor([3.0, 1.0]), torch.diag(torch.tensor([9.0, 1.0])))
    assert frechet_distance(first, second) == pytest.approx(9 + (1 - 3) ** 2 + (2 - 1) ** 2)


def test_singular_covariances_are_exact_in_both_forms() -> None:
    """Fewer images than features. The referee: the same numbers after a rotation into the joint span, in full rank."""
    x, y = features(8, 60), features(9, 60, seed=1, shift=0.2)
    centered = torch.cat([x - x.mean(0), y - y.mean(0)])
    basis = torch.linalg.svd(centered, full_matrices=False).Vh[:15]
    roots = np.linalg.svd(
        ((x - x.mean(0)) @ basis.T).numpy() @ ((y - y.mean(0)) @ basis.T).numpy().T / np.sqrt(7 * 8), compute_uv=False
    )
    shift = (x.mean(0) - y.mean(0)).numpy()
    traces = float(torch.trace(torch.cov(x.T)) + torch.trace(torch.cov(y.T)))
    expected = shift @ shift + traces - 2 * roots.sum()
    assert both(x, y) == (pytest.approx(expected, rel=1e-9), pytest.approx(expected, rel=1e-9))
    dead = torch.cat([features(100, 5), torch.zeros(100, 3)], 1)  # features that are always 0
    other = torch.cat([features(100, 5, seed=1), torch.zeros(100, 3)], 1)
    without = oracle.frechet_distance(dead[:, :5].numpy(), other[:, :5].numpy())
    assert both(dead, other) == (pytest.approx(without, rel=1e-9), pytest.approx(without, rel=1e-9))


def test_a_set_is_at_no_distance_from_itself() -> None:
    for x in (features(300), features(5, 40), torch.ones(6, 3)):
        scale = 1 + float(torch.trace(torch.cov(x.T)))
        assert both(x, x) == (pytest.approx(0, abs=1e-9 * scale), pytest.approx(0, abs=1e-9 * scale))


def test_statistics_in_batches_merged_and_from_moments() -> None:
    x = features(101, shift=1e4)  # far from 0: sums of squares alone would lose digits
    statistics, other = FeatureStatistics(12), FeatureStatistics(12)
    for part in x[:60].split(7):
        statistics.update(part)
    other.update(x[60:])
    statistics.update(x[:0])
    statistics.merge(other)
    assert statistics.count == 101
    np.testing.assert_allclose(statistics.mean, x.mean(0), rtol=1e-13)
    np.testing.assert_allclose(statistics.covariance, np.cov(x.numpy(), rowvar=False), rtol=1e-9, atol=1e-9)
    again = FeatureStatistics.from_moments(101, statistics.mean, statistics.covariance)
    again.merge(FeatureStatistics.of(x))
    twice = np.cov(torch.cat([x, x]).numpy(), rowvar=False)
    np.testing.assert_allclose(again.covariance, twice, rtol=1e-9, atol=1e-9)


def test_bad_input() -> None:
    x = features(10)
    for call in (both, feature_frechet_distance):
        with pytest.raises(MetricError, match="at least 2 images on each side; got 10 and 1"):
            call(x, x[:1])
        with pytest.raises(MetricError, match="1 of 10 rows hold NaN"):
            call(x, torch.where(torch.arange(10)[:, None] == 3, torch.nan, x))
        with pytest.raises(MetricError, match="same features; got 12 and 11"):
            call(x, x[:, :11])
    with pytest.raises(MetricError, match=r"must be \(N, A\)"):
        FeatureStatistics.of(x[0])
    with pytest.raises(MetricError, match="12 features an image; got 5"):
        FeatureStatistics(12).update(x[:, :5])
    with pytest.raises(MetricError, match="12 features an image; got 5"):
        FeatureStatistics(12).merge(FeatureStatistics(5))
    with pytest.raises(MetricError, match=r"\(A,\) and \(A, A\)"):
        FeatureStatistics.from_moments(5, torch.zeros(3), torch.zeros(2, 2))
    with pytest.raises(MetricError, match="finite"):
        FeatureStatistics.from_moments(5, torch.zeros(1), torch.full((1, 1), torch.nan))
    for mean, sigma in ((torch.full((2,), torch.inf), torch.eye(2)), (torch.zeros(2), torch.full((2, 2), torch.inf))):
        with pytest.raises(MetricError, match="finite"):  # in float32, where the bound itself is infinite
            FeatureStatistics.from_moments(5, mean, sigma)


def test_more_rows_than_a_block_and_none() -> None:
    x = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.arange(5000) % 3
    plain, weighted = FeatureStatistics.of(x), FeatureStatistics(3)
    weighted.update(x, weights)
    plain.update(x[:0])
    assert (plain.count, weighted.count) == (5000, int(weights.sum()))
    np.testing.assert_allclose(plain.covariance, np.cov(x.double().numpy(), rowvar=False), rtol=1e-9)
    repeated = x.double().numpy().repeat(weights.numpy(), 0)
    np.testing.assert_allclose(weighted.covariance, np.cov(repeated, rowvar=False), rtol=1e-9)


def test_an_unknown_number_of_images_gives_a_distance_but_no_merging() -> None:
    known = FeatureStatistics.of(torch.randn(50, 3))
    unknown = FeatureStatistics.from_moments(None, known.mean, known.covariance)
    assert unknown.count is None
    assert frechet_distance(unknown, known) == pytest.approx(0, abs=1e-12)
    with pytest.raises(MetricError, match="cannot be merged"):
        known.merge(unknown)
    with pytest.raises(MetricError, match="cannot take more"):
        unknown.update(torch.randn(5, 3))


ONE = FeatureStatistics.of(torch.randn(200, 16, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("sigma", "message"),
    [
        (-torch.eye(16), "no negative eigenvalue; this one has -1 "),
        (ONE.covariance.triu(), "differs from its transpose"),
        (ONE.covariance - 2 * torch.eye(16), "no negative eigenvalue"),
        (ONE.covariance - 1.01 * torch.linalg.eigvalsh(ONE.covariance)[0] * torch.eye(16), "no negative eigenvalue"),
        (torch.full((16, 16), torch.nan), "must be finite"),
        (1e200 * torch.eye(16), "must be finite"),
    ],
)
def test_a_matrix_that_is_no_covariance(sigma: Tensor, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        FeatureStatistics.from_moments(None, ONE.mean, sigma)


def test_what_rounding_in_float32_leaves_is_a_covariance() -> None:
    """Fewer images than features: eigenvalues of 0, some of them below it after rounding."""
    features = torch.randn(20, 64, generator=torch.Generator().manual_seed(1))
    exact = FeatureStatistics.of(features)
    centered = features - features.mean(0)
    rounded = (centered.T @ (centered / 19)).float()
    assert torch.linalg.eigvalsh(rounded.double())[0] < 0
    found = FeatureStatistics.from_moments(20, features.mean(0), rounded)
    assert found.covariance.equal(found.covariance.T)
    assert frechet_distance(exact, found) < 1e-4
    zero = FeatureStatistics.from_moments(2, torch.zeros(3), torch.zeros(3, 3))
    assert frechet_distance(zero, zero) == 0.0


@pytest.mark.parametrize("count", [-1, 2**60])
def test_a_number_of_images_that_cannot_be(count: int) -> None:
    with pytest.raises(MetricError, match="number of images must lie in"):
        FeatureStatistics.from_moments(count, torch.zeros(3), torch.eye(3))


def test_the_distance_of_infinitely_many_images_is_nearer_to_that_of_the_distributions() -> None:
    """Gaussians with deviations 1 and 1.2 in each of 20 features, apart by 0.1: 20 (0.1^2 + 0.2^2) = 1."""
    source, found, plain = torch.Generator().manual_seed(0), [], []
    real = FeatureStatistics.from_moments(10**6, torch.zeros(20), torch.eye(20))
    for _ in range(10):
        generated = 1.2 * torch.randn(600, 20, generator=source, dtype=torch.float64) + 0.1
        plain.append(to_statistics(generated, real))
        found.append(extrapolated_frechet_distance(generated, real, points=8, smallest=200).value)
    assert np.mean(plain) > 1.2
    assert abs(np.mean(found) - 1) < 3 * np.std(found) / 10**0.5 < 0.1


def to_statistics(generated: torch.Tensor, real: FeatureStatistics) -> float:
    return frechet_distance(FeatureStatistics.of(generated), real)


def test_the_line_goes_through_the_distances_of_subsets() -> None:
    generated = torch.randn(100, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    real, parts = FeatureStatistics.of(generated + 1), []
    found = extrapolated_frechet_distance(generated, real, points=2, smallest=50, advance=parts.append)
    assert found.sizes == (50, 100)
    assert found.distances[1] == pytest.approx(frechet_distance(FeatureStatistics.of(generated), real), rel=1e-9)
    rows = np.random.RandomState(2020).permutation(100)[:50]
    assert found.distances[0] == pytest.approx(frechet_distance(FeatureStatistics.of(generated[rows]), real), rel=1e-9)
    # Two points: the line is value + c / N exactly.
    assert found.value == pytest.approx(2 * found.distances[1] - found.distances[0], rel=1e-9)
    assert found.value + found.bias == pytest.approx(found.distances[1], rel=1e-9)
    assert sum(parts) == pytest.approx(1)


@pytest.mark.parametrize("smallest", [1, 100])
def test_a_line_needs_two_sizes(smallest: int) -> None:
    generated = torch.zeros(100, 5)
    with pytest.raises(MetricError, match="2 <= smallest < 100 images"):
        extrapolated_frechet_distance(generated, FeatureStatistics.of(generated), smallest=smallest)


@pytest.mark.parametrize("weights", [[1, 1], [1, 1, -1], [1, 0.5, 0.5], [1, 1, torch.nan]])
def test_weights_that_are_no_repetitions(weights: list[float]) -> None:
    with pytest.raises(MetricError, match=r"weights must be \(3,\), whole numbers"):
        FeatureStatistics(2).update(torch.randn(3, 2), torch.tensor(weights))


def test_weights_are_repetitions() -> None:
    x, times = features(10), torch.tensor([0, 1, 2, 3, 0, 1, 1, 4, 0, 2])
    weighted = FeatureStatistics(12)
    weighted.update(x[:6], times[:6])
    weighted.update(x[6:], times[6:])
    repeated = FeatureStatistics.of(x.repeat_interleave(times, 0))
    assert weighted.count == repeated.count == 14
    torch.testing.assert_close(weighted.mean, repeated.mean)
    torch.testing.assert_close(weighted.covariance, repeated.covariance)

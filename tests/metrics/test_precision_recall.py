import numpy as np
import pytest
import torch

from improved_gan.metrics import MetricError, density_coverage, precision_recall
from tests.oracles import metrics as oracle


def draw(num: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(num, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("rows", [7, 100])
@pytest.mark.parametrize("k", [1, 3])
def test_it_is_the_definition(k: int, rows: int) -> None:
    generated, real = draw(30, 0, 1.5), draw(40, 1)
    assert precision_recall(generated, real, k=k, rows=rows) == oracle.precision_recall(
        generated.numpy(), real.numpy(), k
    )


@pytest.mark.parametrize("rows", [7, 100])
def test_distances_that_equal_a_radius_are_not_decided_by_rounding(rows: int) -> None:
    source = np.random.default_rng(0)
    real = source.integers(0, 5, (60, 4))
    generated = np.concatenate([real[:20], source.integers(0, 5, (25, 4))])  # the first ones are copies

    def inside(points: np.ndarray, manifold: np.ndarray, k: int) -> np.ndarray:
        own = ((manifold[:, None] - manifold) ** 2).sum(2)  # whole numbers: exact
        own[np.diag_indices(len(own))] = 10**6
        return ((points[:, None] - manifold) ** 2).sum(2) <= np.sort(own, 1)[:, k - 1]

    for scale, shift in ((0.1, 7.3), (1e-3 / 3, -20.1), (1e5 / 7, 1e7)):
        samples, images = (torch.from_numpy(scale * one + shift) for one in (generated, real))
        held = inside(generated, real, 5)
        expected = (held.sum() / (5 * len(generated)), held.any(0).mean())
        assert density_coverage(samples, images, rows=rows) == pytest.approx(expected, rel=1e-12)
        both = inside(generated, real, 3).any(1).mean(), inside(real, generated, 3).any(1).mean()
        assert precision_recall(samples, images, rows=rows) == pytest.approx(both, rel=1e-12)


def test_an_outlier_widens_no_other_ball() -> None:
    real = draw(200, 0)
    real[0] = 1e7
    generated = draw(100, 1) + 3
    expected = oracle.density_coverage(generated.numpy(), real.numpy(), 5)
    assert density_coverage(generated, real) == pytest.approx(expected, rel=1e-12)


def test_extremes() -> None:
    real = draw(100, 0)
    assert precision_recall(real, real) == (1, 1)
    assert precision_recall(real + 100, real) == (0, 0)
    narrow = precision_recall(draw(100, 1, 0.05), real)  # one mode: realistic, without variety
    assert narrow.precision == 1
    assert narrow.recall < 0.2


def test_bad_input() -> None:
    with pytest.raises(MetricError, match="3 nearest neighbors"):
        precision_recall(draw(3, 0), draw(10, 1))
    with pytest.raises(MetricError, match="5 nearest neighbors need at least 5 other images; got 4"):
        density_coverage(draw(30, 0), draw(5, 1))
    with pytest.raises(MetricError, match="one A"):
        density_coverage(draw(30, 0)[:, :2], draw(10, 1))


@pytest.mark.parametrize("rows", [7, 100])
@pytest.mark.parametrize("k", [1, 5])
def test_density_and_coverage_are_their_definitions(k: int, rows: int) -> None:
    generated, real = draw(30, 0, 0.7), draw(40, 1)
    expected = oracle.density_coverage(generated.numpy(), real.numpy(), k)
    assert density_coverage(generated, real, k=k, rows=rows) == pytest.approx(expected, rel=1e-12)


def test_density_and_coverage_of_one_source_have_the_expected_means() -> None:
    """1 and 1 - prod_{i=1..k} (M - i) / (N + M - i), whatever the source."""
    n, m, k = 40, 60, 3
    found = torch.tensor([density_coverage(draw(n, 2 * i), draw(m, 2 * i + 1), k=k) for i in range(300)])
    missed = 1.0
    for i in range(1, k + 1):
        missed *= (m - i) / (n + m - i)
    errors = found.std(0) / 300**0.5
    assert abs(float(found[:, 0].mean()) - 1) < 4 * errors[0]
    assert abs(float(found[:, 1].mean()) - (1 - missed)) < 4 * errors[1]


def test_an_outlier_among_the_samples_raises_recall_but_not_coverage() -> None:
    real, generated = draw(100, 0), draw(100, 1, 0.01)
    with_outlier = torch.cat([generated, torch.full((4, 3), 30.0) * torch.eye(4, 3)])
    assert precision_recall(with_outlier, real).recall > precision_recall(generated, real).recall + 0.5
    assert density_coverage(with_outlier, real).coverage == density_coverage(generated, real).coverage


def test_order_scale_and_copies_of_samples() -> None:
    generated, real = draw(30, 0, 0.7), draw(40, 1)
    expected = density_coverage(generated, real)
    assert density_coverage(generated.flip(0), real.flip(0)) == expected
    assert density_coverage(4 * generated, 4 * real) == expected
    assert density_coverage(generated.repeat(2, 1), real) == expected


def test_the_work_is_reported_and_sums_to_1() -> None:
    for metric in (precision_recall, density_coverage):
        parts: list[float] = []
        metric(draw(30, 0), draw(40, 1), rows=10, advance=parts.append)
        assert sum(parts) == pytest.approx(1)

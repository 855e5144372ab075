from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from improved_gan.metrics import (
    FeatureStatistics,
    MetricError,
    cmmd,
    density_coverage,
    extrapolated_frechet_distance,
    feature_frechet_distance,
    frechet_distance,
    kernel_inception_distance,
    memorization,
    nearest,
    precision_recall,
    support_size,
    vendi_score,
)
from improved_gan.metrics.nearest_neighbors import distances_to

POINTS = torch.randn(57, 9, generator=torch.Generator().manual_seed(0)) + 50  # float32, far from 0
QUERIES = torch.randn(31, 9, generator=torch.Generator().manual_seed(1)) + 50


@pytest.mark.parametrize("rows", [8, 1000])
def test_against_scikit_learn(rows: int) -> None:
    referee = NearestNeighbors(n_neighbors=4).fit(POINTS.double().numpy())
    distances, indices = referee.kneighbors(QUERIES.double().numpy())
    found = nearest(QUERIES, POINTS, 4, rows=rows)
    torch.testing.assert_close(found.distances, torch.from_numpy(distances), rtol=1e-9, atol=1e-9)
    assert found.indices.equal(torch.from_numpy(indices))


@pytest.mark.parametrize("rows", [8, 1000])
def test_none_is_its_own_neighbor(rows: int) -> None:
    twins = torch.cat([POINTS, POINTS])
    found = nearest(twins, twins, exclude_self=True, rows=rows)
    assert found.indices[:, 0].equal(torch.arange(114).roll(57))
    assert float(found.distances.max()) < 1e-6


def test_distances() -> None:
    torch.testing.assert_close(distances_to(QUERIES, POINTS), torch.cdist(QUERIES.double(), POINTS.double()))


def test_bad_input() -> None:
    with pytest.raises(MetricError, match="3 nearest neighbors need at least 3 other images; got 2"):
        nearest(POINTS[:3], POINTS[:3], 3, exclude_self=True)
    with pytest.raises(MetricError, match=r"\(N, A\) with one A"):
        nearest(POINTS, POINTS[:, :3])
    with pytest.raises(MetricError, match=r"N >= 1"):
        nearest(POINTS[:0], POINTS)
    with pytest.raises(MetricError, match="NaN"):
        nearest(POINTS, POINTS * torch.nan)


FUNCTIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], Any]] = {
    "frechet": lambda x, y: frechet_distance(FeatureStatistics.of(x), FeatureStatistics.of(y)),
    "frechet of features": feature_frechet_distance,
    "frechet of few features": lambda x, y: feature_frechet_distance(x[:8], y[:8]),
    "extrapolated": lambda x, y: extrapolated_frechet_distance(x, FeatureStatistics.of(y))[:2],
    "kid": partial(kernel_inception_distance, subsets=1, subset_size=31),
    "cmmd": cmmd,
    "precision": precision_recall,
    "density": density_coverage,
    "memorization": lambda x, y: memorization(x, y)[2:],
    "support": lambda x, y: support_size(x)[:3],
    "vendi": lambda x, y: vendi_score(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_metric_takes_infinity_or_numbers_without_a_square(name: str) -> None:
    for dtype, number in ((torch.float32, torch.inf), (torch.float16, torch.inf), (torch.float64, 1e200)):
        bad = QUERIES.to(dtype, copy=True)
        bad[7, 2] = number
        with pytest.raises(MetricError, match=r"NaN or infinity \(or above 1e70\)"):
            FUNCTIONS[name](bad, POINTS[:31])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_features_with_a_graph_give_the_number_of_the_features(name: str) -> None:
    """PyTorch warns where a number is taken out of a graph, and a warning fails a test."""
    expected = FUNCTIONS[name](QUERIES, POINTS)
    assert FUNCTIONS[name](QUERIES.clone().requires_grad_(), POINTS.clone().requires_grad_()) == expected


def numbers(result: Any) -> list[float]:
    return list(map(float, result)) if isinstance(result, tuple) else [float(result)]


ORDERLESS = [name for name in FUNCTIONS if name not in ("extrapolated", "frechet of few features")]  # they draw rows


@pytest.mark.parametrize("name", ORDERLESS)
def test_the_order_of_the_images_does_not_matter(name: str) -> None:
    x, y = QUERIES.double(), POINTS.double() + 1
    if name == "kid":
        y = y[: len(x)]  # one subset of all
    assert numbers(FUNCTIONS[name](x.flip(0), y.roll(5, 0))) == pytest.approx(numbers(FUNCTIONS[name](x, y)), rel=1e-9)


@pytest.mark.parametrize("name", ["frechet", "frechet of features", "cmmd", "kid"])
def test_a_distance_has_no_direction(name: str) -> None:
    x, y = QUERIES.double(), POINTS[: len(QUERIES)].double() + 1
    assert numbers(FUNCTIONS[name](x, y))[0] == pytest.approx(numbers(FUNCTIONS[name](y, x))[0], rel=1e-9)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "kid"])  # its kernel has a constant 1
def test_features_in_another_unit(name: str) -> None:
    """Squared distances have the squared unit, all else has none."""
    unit = 9.0 if name.startswith(("frechet", "extrapolated")) else 1.0
    found, expected = (numbers(FUNCTIONS[name](scale * QUERIES.double(), scale * POINTS.double())) for scale in (3, 1))
    assert found == pytest.approx([unit * one for one in expected], rel=1e-6)


@pytest.mark.parametrize("name", ["frechet", "precision", "density", "memorization", "support"])
def test_a_shift_of_all_features_does_not_matter(name: str) -> None:
    x, y = QUERIES.double(), POINTS.double() + 1
    assert numbers(FUNCTIONS[name](x + 7, y + 7)) == pytest.approx(numbers(FUNCTIONS[name](x, y)), rel=1e-6)


@pytest.mark.parametrize("k", [0, -1])
def test_a_number_of_neighbors_that_is_none(k: int) -> None:
    functions: list[Callable[..., Any]] = [precision_recall, density_coverage, memorization, nearest]
    for function in functions:
        with pytest.raises(MetricError, match=f"must be at least 1; got {k}"):
            function(QUERIES, POINTS, k=k)

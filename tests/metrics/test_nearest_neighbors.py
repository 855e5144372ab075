import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from improved_gan.metrics import MetricError, nearest
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

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from improved_gan.label_spreading import knn
from improved_gan.label_spreading.knn import approximate_neighbors, nearest_neighbors, principal_components

# Gray values are whole numbers: a little noise leaves no two distances equal, so that the neighbors are one set.
POINTS = torch.from_numpy(load_digits().data).float() / 16 + 0.01 * torch.randn(
    1797, 64, generator=torch.Generator().manual_seed(0)
)


def test_neighbors_are_those_of_scikit_learn() -> None:
    positions, distances = nearest_neighbors(POINTS, 6)
    theirs, indices = NearestNeighbors(n_neighbors=7).fit(POINTS.numpy()).kneighbors()
    del indices
    np.testing.assert_allclose(distances.sqrt().numpy(), theirs[:, :6], atol=2e-3)
    assert not bool((positions == torch.arange(len(POINTS))[:, None]).any())
    own = (POINTS[:, None] - POINTS[positions]).square().sum(2)
    torch.testing.assert_close(own, distances, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("number", [2, 63, 64, 65, 129])
def test_neighbors_at_awkward_sizes(number: int) -> None:
    points = POINTS[:number]
    for num in {1, min(5, number - 1)}:
        _, distances = nearest_neighbors(points, num)
        exact = torch.cdist(points.double(), points.double()).square().fill_diagonal_(torch.inf)
        torch.testing.assert_close(distances.double(), exact.topk(num, largest=False).values, atol=1e-4, rtol=1e-4)


def test_components_are_those_of_scikit_learn_up_to_sign() -> None:
    ours, theirs = principal_components(POINTS, 8), PCA(8, svd_solver="full").fit_transform(POINTS.double().numpy())
    np.testing.assert_allclose(np.abs(ours.numpy()), np.abs(theirs), atol=1e-3)


@pytest.mark.parametrize("width", [64, 5000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.int32])
def test_a_large_mean_is_subtracted_before_rounding(width: int, dtype: torch.dtype) -> None:
    points = (1000 * torch.cat([POINTS[:90], POINTS.new_zeros(90, width - 64)], 1)).to(dtype)
    found, centered = principal_components(2_000_000_000 + points, 5), principal_components(points, 5)
    torch.testing.assert_close(found.abs(), centered.abs(), rtol=1e-4, atol=0.1)


@pytest.mark.parametrize(("distance", "std"), [(0.0, 1.0), (100.0, 0.01), (1000.0, 0.1), (1000.0, 1.0)])
def test_neighbors_within_clusters_that_are_far_apart(distance: float, std: float) -> None:
    source = torch.Generator().manual_seed(0)
    signs = 2 * (torch.arange(1000) % 2)[:, None] - 1
    points = distance * signs + std * torch.randn(1000, 8, generator=source)
    squares = (points[:, None].double() - points.double()).square().sum(2)
    squares.fill_diagonal_(torch.inf)
    exact = squares.topk(10, largest=False)
    for found, distances in (nearest_neighbors(points, 10), approximate_neighbors(points, 10)):
        recall = (found[:, :, None] == exact.indices[:, None]).any(2).double().mean().item()
        assert recall > 0.999
        torch.testing.assert_close(distances.double(), squares.gather(1, found), rtol=1e-2, atol=0)


def test_components_of_wide_examples_are_those_of_the_singular_value_decomposition() -> None:
    wide = torch.randn(30, 5000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = principal_components(wide.float(), 8).double()
    left, values, _ = np.linalg.svd((wide - wide.mean(0)).numpy(), full_matrices=False)
    np.testing.assert_allclose(np.abs(ours.numpy()), np.abs(left[:, :8] * values[:8]), rtol=2e-3, atol=2e-2)
    assert principal_components(wide.float(), 64).shape == (30, 29)  # what thirty examples span


@pytest.mark.parametrize("width", [64, 5000])
def test_parts_of_the_rows_give_what_the_whole_gives(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.cat([POINTS[:90], POINTS.new_zeros(90, width - 64)], 1)
    whole = principal_components(points, 5)
    monkeypatch.setattr(knn, "_NUMBERS", 7 * width)
    parts = principal_components(points.view(90, 2, -1), 5)
    torch.testing.assert_close(parts.abs(), whole.abs(), atol=1e-5, rtol=1e-4)


def test_nearly_all_neighbors_are_found() -> None:
    source = torch.Generator().manual_seed(0)
    points = torch.randn(20, 8, generator=source)[torch.arange(2000) % 20] + torch.randn(2000, 8, generator=source)
    (indices, distances), exact = approximate_neighbors(points, 10), nearest_neighbors(points, 10)
    recall = sum(len(set(a) & set(b)) for a, b in zip(indices.tolist(), exact[0].tolist(), strict=True)) / 20_000
    assert recall > 0.95
    measured = (points[:, None] - points[indices]).square().sum(2)
    torch.testing.assert_close(distances, measured, rtol=1e-3, atol=1e-3)
    assert bool((indices != torch.arange(2000)[:, None]).all())


def test_cells_with_fewer_points_than_neighbors() -> None:
    points = torch.arange(12.0)[:, None]
    indices, distances = approximate_neighbors(points, 11, num_probes=1)
    assert all(sorted([row, *others]) == list(range(12)) for row, others in enumerate(indices.tolist()))
    torch.testing.assert_close(distances, (points - points[indices].squeeze(2)).square())

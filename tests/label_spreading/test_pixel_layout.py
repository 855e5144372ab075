import numpy as np
import torch
from scipy.sparse.csgraph import shortest_path

from improved_gan.label_spreading.pixel_layout import _scaled, geodesic_distances, isomap_embedding


def test_paths_are_those_of_scipy() -> None:
    values = torch.randn(50, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    correlations = torch.corrcoef(values.T)
    paths, closest = geodesic_distances(correlations, 6)
    distances = np.sqrt(1 - correlations.numpy())
    np.fill_diagonal(distances, np.inf)
    scale = np.sort(distances, 1)[:, :4].mean(1)
    ranks = distances.argsort(1).argsort(1)
    edges = ((ranks < 6) & (ranks.T < 6)) | (ranks < 4) | (ranks.T < 4)
    weights = np.where(edges, distances / np.sqrt(np.outer(scale, scale)), 0)
    np.testing.assert_allclose(paths.numpy(), shortest_path(weights, directed=False))
    np.testing.assert_array_equal(closest.numpy(), (ranks < 4) | (ranks.T < 4))


def test_distances_in_a_plane_are_reproduced() -> None:
    points = torch.randn(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    distances = torch.cdist(points, points)
    closest = distances < 0.5
    closest.fill_diagonal_(False)
    placed = _scaled(distances, closest)
    torch.testing.assert_close(torch.cdist(placed, placed), distances / distances[closest].median())


def test_a_near_lattice_is_rounded_and_keeps_its_orientation() -> None:
    side = 9
    grid = torch.cartesian_prod(torch.arange(side), torch.arange(side)).double()
    correlations = torch.exp(-torch.cdist(grid, grid).square() / 8)
    paths, closest = geodesic_distances(correlations.clone(), 6)
    layout, placed = _scaled(paths, closest), isomap_embedding(paths, closest, correlations)
    beside = torch.cdist(grid, grid) == 1
    assert torch.cdist(layout, layout)[beside].std() > 0.02
    torch.testing.assert_close(torch.cdist(placed, placed), torch.cdist(grid, grid), atol=1e-6, rtol=0)
    assert ((placed - placed.mean(0)) * (layout - layout.mean(0))).sum(0).min() > 0.7 * layout.var(0).min() * len(grid)


def test_a_layout_without_a_lattice_is_unchanged() -> None:
    points = torch.randn(60, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    distances = torch.cdist(points, points)
    correlations = 1 - distances.square() / distances.max().square()
    closest = distances < 0.5
    closest.fill_diagonal_(False)
    assert torch.equal(isomap_embedding(distances, closest, correlations), _scaled(distances, closest))

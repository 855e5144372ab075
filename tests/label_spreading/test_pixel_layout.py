import math

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter
from scipy.sparse.csgraph import shortest_path
from scipy.spatial import cKDTree

from improved_gan.label_spreading import pixel_layout
from improved_gan.label_spreading.pixel_layout import (
    CELLS,
    _scaled,
    geodesic_distances,
    interpolation_table,
    isomap_embedding,
    lattice_coordinates,
)

SIDE = 12
GRID = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).double()


def near_ones(metric: torch.Tensor | None = None) -> torch.Tensor:
    """Similarities that decrease with the distance in a given metric."""
    steps = GRID[:, None] - GRID
    squares = (steps @ metric * steps).sum(2) if metric is not None else steps.square().sum(2)
    return torch.exp(-squares / 8)


def same_lattice(found: torch.Tensor) -> bool:
    """Whether the coordinates are those of the grid up to rotation by right angles, reflection and translation."""
    design = torch.cat([GRID, torch.ones(len(GRID), 1)], 1).double()
    solution = torch.linalg.lstsq(design, found).solution
    turn = solution[:2]
    return bool((design @ solution - found).abs().max() < 0.05) and torch.allclose(
        turn.abs().round(decimals=2).sort(1).values, torch.tensor([[0.0, 1.0]] * 2).double(), atol=0.02
    )


def test_the_lattice_is_recovered_from_a_scaled_and_sheared_layout() -> None:
    mixed = torch.tensor([[1.1, 0.35], [-0.3, 0.85]]).double()
    found = lattice_coordinates(3 * GRID @ mixed, near_ones())
    assert found is not None
    assert same_lattice(found)


def test_the_lattice_is_recovered_from_a_distorted_layout_with_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    bent = GRID + torch.stack([1.5 * (GRID[:, 1] / 5).sin(), 1.2 * (GRID[:, 0] / 4).cos()], 1)
    noisy = bent + 0.08 * torch.randn(len(GRID), 2, generator=generator, dtype=torch.float64)
    found = lattice_coordinates(noisy, near_ones())
    assert found is not None
    assert same_lattice(found)
    assert not same_lattice(noisy)


def test_anisotropic_similarities() -> None:
    """As of handwriting: pixels along a stroke are more correlated than those across it."""
    metric = torch.tensor([[1.0, 0.3], [0.3, 1.1]]).double()
    layout = GRID @ torch.linalg.cholesky(metric)  # Euclidean distances are those of the metric
    found = lattice_coordinates(layout, near_ones(metric))
    assert found is not None
    assert same_lattice(found)


def test_smooth_random_images() -> None:
    fields = torch.randn(2000, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).numpy()
    smooth = torch.from_numpy(gaussian_filter(fields, (0, 1.2, 1.2)))
    found = lattice_coordinates(GRID * 1.1, torch.corrcoef(smooth.reshape(2000, -1).T.double()))
    assert found is not None
    assert same_lattice(found)


@pytest.mark.parametrize("places", [torch.randn(144, 2, generator=torch.Generator().manual_seed(2)), GRID])
def test_points_that_are_no_lattice(places: torch.Tensor) -> None:
    """Neighbors by the similarities are not neighbors in the layout, or lie on a circle."""
    angles = torch.rand(144, generator=torch.Generator().manual_seed(3)).double() * 2 * math.pi
    circle = torch.stack([angles.cos(), angles.sin()], 1) * 10
    assert lattice_coordinates(places.double(), torch.exp(-torch.cdist(circle, circle).square())) is None


def test_too_few_points() -> None:
    assert lattice_coordinates(GRID[:8], near_ones()[:8, :8]) is None


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
    found = torch.cdist(placed, placed, compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(found, distances / distances[closest].median())


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


LOW, SIZE = torch.tensor([1.0, 1.0]), (6 * CELLS, 5 * CELLS)


def jittered(side: int, seed: int = 0) -> torch.Tensor:
    grid = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
    return grid + 0.2 * torch.rand(len(grid), 2, generator=torch.Generator().manual_seed(seed))


def cells() -> torch.Tensor:
    steps = torch.cartesian_prod(*(torch.arange(one) for one in SIZE))
    return LOW + steps / CELLS


def test_the_points_are_the_nearest_of_scipy() -> None:
    points = jittered(9)
    near, _ = interpolation_table(points, LOW, SIZE)
    distances, _ = cKDTree(points.numpy()).query(cells().numpy(), k=4)
    ours = (points[near.T] - cells()[:, None]).norm(dim=2)
    torch.testing.assert_close(ours.sort(1).values.double(), torch.from_numpy(distances), atol=1e-5, rtol=0)


def test_tiled_search_of_many_points_gives_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    points = jittered(12)
    near, weights = interpolation_table(points, LOW, SIZE)
    monkeypatch.setattr(pixel_layout, "_EXACT", 10)
    tiled, same = interpolation_table(points, LOW, SIZE)
    assert torch.equal(near, tiled)
    assert torch.equal(weights, same)
    far = torch.tensor([40.0, 40.0])  # nothing near: all are searched
    assert torch.equal(interpolation_table(points, far, (3, 3))[0].unique(), torch.tensor([130, 131, 142, 143]))


def test_linear_functions_are_reproduced_between_points_of_a_grid() -> None:
    grid = torch.cartesian_prod(torch.arange(9), torch.arange(9)).float()
    near, weights = interpolation_table(grid, LOW, SIZE)
    values = 0.3 * grid[:, 0] - 2 * grid[:, 1] + 1
    reader = RegularGridInterpolator((range(9), range(9)), values.reshape(9, 9).numpy())
    expected = torch.from_numpy(reader(cells().numpy()))
    torch.testing.assert_close((values[near] * weights).sum(0).double(), expected, atol=1e-4, rtol=0)


def test_values_at_points_are_exact_and_weights_sum_to_one() -> None:
    points = jittered(9)
    near, weights = interpolation_table(points, points[40], (1, 1))
    assert near[0, 0] == 40
    assert weights[0, 0] == pytest.approx(1, abs=1e-4)
    _, weights = interpolation_table(points, torch.tensor([-3.0, -3.0]), (20 * CELLS, 20 * CELLS))
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(0), torch.ones(weights.shape[1]))


def test_points_far_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="one unit apart"):
        interpolation_table(jittered(3), LOW, (100_000, 100_000))

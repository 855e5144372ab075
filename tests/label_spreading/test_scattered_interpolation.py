import pytest
import torch
from scipy.interpolate import RegularGridInterpolator
from scipy.spatial import cKDTree

from improved_gan.label_spreading import scattered_interpolation
from improved_gan.label_spreading.scattered_interpolation import CELLS, interpolation_table

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
    monkeypatch.setattr(scattered_interpolation, "_EXACT", 10)
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

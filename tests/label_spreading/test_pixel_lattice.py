import math

import pytest
import torch
from scipy.ndimage import gaussian_filter

from improved_gan.label_spreading.pixel_lattice import lattice_coordinates

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

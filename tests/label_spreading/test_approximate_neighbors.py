"""Neighbors from cells against all pairs."""

import torch

from improved_gan.label_spreading.approximate_neighbors import approximate_neighbors
from improved_gan.label_spreading.knn import nearest_neighbors


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

"""A layout of pixels in a plane from their correlations: Isomap, then the nearest square lattice.

Source: Tenenbaum, de Silva and Langford, 2000, with the conformal edges of de Silva and Tenenbaum, 2002.
"""

import torch
from torch import Tensor

from improved_gan.label_spreading.pixel_lattice import lattice_coordinates

__all__ = ["NEAREST", "geodesic_distances", "isomap_embedding"]

NEAREST = 4  # neighbors in a grid


def geodesic_distances(correlations: Tensor, num_neighbors: int) -> tuple[Tensor, Tensor]:
    """Geodesic distances of pixels along the graph of nearest neighbors.

    Args:
        correlations: (A, A) float64.
        num_neighbors: k of the graph, 4 to A - 1.

    Returns:
        (A, A) lengths of shortest paths, infinite where there are none, and (A, A) bool, the pairs of closest pixels.
    """
    distances = (1 - correlations).clamp_min(1e-12).sqrt().fill_diagonal_(torch.inf)
    nearest = distances.topk(num_neighbors, largest=False)
    scale = nearest.values[:, :NEAREST].mean(1)
    among, closest = torch.zeros(2, *distances.shape, dtype=torch.bool, device=distances.device)
    among.scatter_(1, nearest.indices, True)
    closest.scatter_(1, nearest.indices[:, :NEAREST], True)
    closest = closest | closest.T
    edges = (among & among.T) | closest
    paths = torch.where(edges, distances / torch.outer(scale, scale).sqrt(), torch.inf).fill_diagonal_(0)
    for over in range(len(paths)):  # Floyd and Warshall
        paths = torch.minimum(paths, paths[:, over, None] + paths[over])
    return paths, closest


def isomap_embedding(paths: Tensor, closest: Tensor, correlations: Tensor) -> Tensor:
    """Positions in a plane of the pixels of a connected graph, on a square lattice where one fits.

    Args:
        paths: (A, A) lengths as `geodesic_distances` gives them, all finite.
        closest: (A, A) bool, the pairs of closest pixels.
        correlations: (A, A) float64.

    Returns:
        (A, 2) float64, neighbors about 1 apart.
    """
    return _align_to_axes(_scaled(paths, closest), correlations)


def _scaled(paths: Tensor, closest: Tensor) -> Tensor:
    """(A, 2) classical multidimensional scaling of the path lengths; the closest pairs are 1 apart in the median."""
    squares = paths.square()
    centered = squares - squares.mean(0) - squares.mean(1, keepdim=True) + squares.mean()
    values, vectors = torch.linalg.eigh(-0.5 * centered)
    layout = vectors[:, [-2, -1]] * values[[-2, -1]].clamp_min(0).sqrt()
    layout = layout * torch.where(layout.pow(3).sum(0) < 0, -1.0, 1.0)  # signs that do not depend on the pixels' order
    return layout / torch.cdist(layout, layout)[closest].median().clamp_min(1e-12)  # type: ignore[no-any-return]


def _align_to_axes(layout: Tensor, correlations: Tensor) -> Tensor:
    """(A, 2) the square lattice that fits this layout; the layout itself where none does."""
    found = lattice_coordinates(layout, correlations)
    if found is None:
        return layout
    found = found - found.mean(0)
    overlap = found.T @ layout  # of the lattice's eight rotations and reflections take the one nearest to the layout
    if float(overlap.diagonal().abs().sum()) < float(overlap.flip(0).diagonal().abs().sum()):
        found, overlap = found.flip(1), overlap.flip(0)
    return found * torch.where(overlap.diagonal() < 0, -1.0, 1.0)

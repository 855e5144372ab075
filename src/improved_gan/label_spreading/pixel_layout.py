"""Pixels laid out in a plane by how much they vary together: Isomap, and the lattice that it is nearly.

Source: Tenenbaum, de Silva and Langford, 2000, with the conformal edges of de Silva and Tenenbaum, 2002.
"""

import torch
from torch import Tensor

from improved_gan.label_spreading.pixel_lattice import lattice_coordinates

__all__ = ["NEAREST", "geodesic_distances", "isomap_embedding"]

NEAREST = 4  # neighbors in a grid


def geodesic_distances(correlations: Tensor, num_neighbors: int) -> tuple[Tensor, Tensor]:
    """How far pixels are from each other along a graph of neighbors.

    Args:
        correlations: (A, A) float64.
        num_neighbors: k of the graph, 4 to A - 1.

    Returns:
        (A, A) lengths of shortest paths, infinite where there are none, and (A, A) which pairs are closest.
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
    """Places in a plane for pixels that hang together: on a lattice, where they are those of one, nearly.

    Args:
        paths: (A, A) lengths as `geodesic_distances` gives them, all finite.
        closest: (A, A) which pairs are closest.
        correlations: (A, A) float64.

    Returns:
        (A, 2) float64, neighbors about 1 apart.
    """
    places = _scaled(paths, closest)
    return _align_to_axes(places, correlations)


def _scaled(paths: Tensor, closest: Tensor) -> Tensor:
    """(A, 2) classical scaling of the paths' lengths; the closest pairs are 1 apart, in the median."""
    squares = paths.square()
    centered = squares - squares.mean(0) - squares.mean(1, keepdim=True) + squares.mean()
    values, vectors = torch.linalg.eigh(-0.5 * centered)
    places = vectors[:, [-2, -1]] * values[[-2, -1]].clamp_min(0).sqrt()
    places = places * torch.where(places.pow(3).sum(0) < 0, -1.0, 1.0)  # one mirror image, whatever the pixels' order
    return places / torch.cdist(places, places)[closest].median().clamp_min(1e-12)  # type: ignore[no-any-return]


def _align_to_axes(places: Tensor, correlations: Tensor) -> Tensor:
    """(A, 2) the lattice that these places are those of, nearly; themselves where there is none."""
    found = lattice_coordinates(places, correlations)
    if found is None:
        return places
    found = found - found.mean(0)
    alike = found.T @ places  # of the lattice's eight ways to lie the one that is most like the layout
    if float(alike.diagonal().abs().sum()) < float(alike.flip(0).diagonal().abs().sum()):
        found, alike = found.flip(1), alike.flip(0)
    return found * torch.where(alike.diagonal() < 0, -1.0, 1.0)

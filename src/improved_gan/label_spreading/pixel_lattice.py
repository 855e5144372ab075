"""Fit a square lattice to an approximate layout of points.

In a layout that is slightly scaled, sheared or distorted, the steps between neighbors are still near to whole steps of
the lattice. Rounded, they determine the points' coordinates by least squares, iteratively reweighted against outliers
as in robust regression.

Source: none.
"""

import torch
from torch import Tensor

__all__ = ["lattice_coordinates"]

_NEIGHBORS, _AXES = 8, 4  # neighbors in a square lattice: all, and those along its axes
_STARTS, _MEANS, _ROUNDS = 36, 20, 20
_WIDTH = 0.25  # of a step: the scale at which residuals from whole steps are down-weighted
_APART = 0.9  # fraction of the points that must have different coordinates
_ANCHOR = 1e-4  # weight of the initial layout, for points that the steps do not determine


def lattice_coordinates(layout: Tensor, similarities: Tensor) -> Tensor | None:
    """Coordinates in which neighbors are one whole step apart.

    Args:
        layout: (A, 2) float64, approximate positions.
        similarities: (A, A) float64, symmetric, at most 1; larger for nearer points.

    Returns:
        (A, 2) float64 along the axes of the lattice, whole numbers apart for nearly all pairs of neighbors; None where
        the layout is too far from any lattice.

    >>> grid = torch.cartesian_prod(torch.arange(6.0), torch.arange(6.0)).double()
    >>> similarities = torch.exp(-torch.cdist(grid, grid))
    >>> found = lattice_coordinates(grid @ torch.tensor([[1.2, 0.4], [0.0, 0.9]]).double(), similarities)
    >>> steps = found[1:] - found[:-1]
    >>> bool((steps - steps.round()).abs().max() < 1e-3)
    True
    """
    if len(layout) <= _NEIGHBORS:
        return None
    own = torch.eye(len(layout), dtype=torch.bool, device=layout.device)
    others = similarities.masked_fill(own, -torch.inf)
    axes = _steps_between_mutual_neighbors(others, _AXES)
    if len(axes) < len(layout) // 2:
        return None
    basis = _basis(layout[axes[:, 0]] - layout[axes[:, 1]])
    if basis is None:
        return None
    pairs = _steps_between_mutual_neighbors(others, _NEIGHBORS)
    trust = similarities[pairs[:, 0], pairs[:, 1]].clamp_min(0).pow(4)
    return _whole_steps(layout @ torch.linalg.inv(basis), pairs, trust)


def _steps_between_mutual_neighbors(similarities: Tensor, number: int) -> Tensor:
    """(M, 2) pairs of points, each among the `number` nearest of the other."""
    nearest = similarities.topk(number).indices
    among = torch.zeros_like(similarities, dtype=torch.bool).scatter_(1, nearest, True)
    return (among & among.T).triu().nonzero()


def _basis(steps: Tensor) -> Tensor | None:
    """(2, 2) the two steps, up to sign, around which most others cluster; None where both are nearly the same."""
    length = steps.norm(dim=1).median()
    best, found = -1.0, None
    for start in range(_STARTS):
        angle = torch.tensor(start * torch.pi / (2 * _STARTS), dtype=steps.dtype, device=steps.device)
        pair = length * torch.stack([torch.stack([angle.cos(), angle.sin()]), torch.stack([-angle.sin(), angle.cos()])])
        for _ in range(_MEANS):
            signs = (steps @ pair.T).sign()
            apart = (steps[:, None] - signs[..., None] * pair).norm(dim=2) / length
            nearest = apart.argmin(1)
            weight = 1 / (1 + (apart.amin(1) / _WIDTH) ** 2)
            own = weight[:, None] * (nearest[:, None] == torch.arange(2, device=steps.device))
            pair = (own * signs).T @ steps / own.sum(0).clamp_min(1e-12)[:, None]
        score, area = float(weight.sum()), float(torch.linalg.det(pair).abs())
        if score > best and area > 0.3 * float(length) ** 2:
            best, found = score, pair
    return found


def _whole_steps(coordinates: Tensor, pairs: Tensor, trust: Tensor) -> Tensor | None:
    """(A, 2) coordinates with whole steps between most of these pairs; None where there are none."""
    first, second = pairs.T
    number = len(coordinates)
    for _ in range(_ROUNDS):
        steps = coordinates[first] - coordinates[second]
        whole = steps.round()
        off = (steps - whole).norm(dim=1)
        kept = (whole.abs().amax(1) == 1).to(trust)
        weight = kept * trust / (1 + (off / _WIDTH) ** 2) ** 2
        matrix = torch.zeros(number, number, dtype=trust.dtype, device=trust.device)
        matrix.index_put_((first, second), -weight)
        matrix = matrix + matrix.T
        matrix = matrix - torch.diag(matrix.sum(1) - _ANCHOR)
        wanted = _ANCHOR * coordinates
        wanted.index_add_(0, first, weight[:, None] * whole)
        wanted.index_add_(0, second, -weight[:, None] * whole)
        coordinates = torch.linalg.solve(matrix, wanted)
    right = (kept > 0) & (off < _WIDTH)
    apart = len(torch.unique((coordinates - coordinates[0]).round(), dim=0)) / number
    return coordinates if float(right.double().mean()) > 0.8 and apart > _APART else None

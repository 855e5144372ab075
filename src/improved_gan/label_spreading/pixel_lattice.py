"""The square lattice that points come from, when a layout of them is right only nearly.

Of a layout that is stretched, slanted or bent a little, the steps between neighbors still tell which neighbor is
which: rounded to whole steps of the lattice, they give the points' coordinates by least squares, and steps that do not
fit in with the others lose their weight (iteratively reweighted, as in robust regression).

Source: none.
"""

import torch
from torch import Tensor

__all__ = ["lattice_coordinates"]

_NEIGHBORS, _AXES = 8, 4  # in a square lattice: all around, and along its axes
_STARTS, _MEANS, _ROUNDS = 36, 20, 20
_WIDTH = 0.25  # of a step: what is farther from a whole one counts for little
_APART = 0.9  # share of the points that must have places of their own
_ANCHOR = 1e-4  # weight of the points' own places, where steps leave them free


def lattice_coordinates(places: Tensor, similarities: Tensor) -> Tensor | None:
    """Coordinates in which neighbors are one whole step apart.

    Args:
        places: (A, 2) float64, a layout.
        similarities: (A, A) float64, symmetric, up to 1: the larger, the nearer.

    Returns:
        (A, 2) float64, whole numbers apart for nearly all pairs of neighbors, with the axes of the lattice; None where
        the layout is too far from any lattice.

    >>> grid = torch.cartesian_prod(torch.arange(6.0), torch.arange(6.0)).double()
    >>> similarities = torch.exp(-torch.cdist(grid, grid))
    >>> found = lattice_coordinates(grid @ torch.tensor([[1.2, 0.4], [0.0, 0.9]]).double(), similarities)
    >>> steps = found[1:] - found[:-1]
    >>> bool((steps - steps.round()).abs().max() < 1e-3)
    True
    """
    if len(places) <= _NEIGHBORS:
        return None
    own = torch.eye(len(places), dtype=torch.bool, device=places.device)
    others = similarities.masked_fill(own, -torch.inf)
    axes = _steps_between_mutual_neighbors(others, _AXES)
    if len(axes) < len(places) // 2:
        return None
    basis = _basis(places[axes[:, 0]] - places[axes[:, 1]])
    if basis is None:
        return None
    pairs = _steps_between_mutual_neighbors(others, _NEIGHBORS)
    trust = similarities[pairs[:, 0], pairs[:, 1]].clamp_min(0).pow(4)
    return _whole_steps(places @ torch.linalg.inv(basis), pairs, trust)


def _steps_between_mutual_neighbors(similarities: Tensor, number: int) -> Tensor:
    """(M, 2) pairs of points that count each other among their `number` nearest."""
    nearest = similarities.topk(number).indices
    among = torch.zeros_like(similarities, dtype=torch.bool).scatter_(1, nearest, True)
    return (among & among.T).triu().nonzero()


def _basis(steps: Tensor) -> Tensor | None:
    """(2, 2) the two steps, up to their sign, about which most others lie; None where both are nearly the same."""
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
    """(A, 2) coordinates whose steps between these pairs are whole, for most of the pairs; else None."""
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

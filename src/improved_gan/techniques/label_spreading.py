"""Label spreading over a graph of neighbours: a first guess at every label, before any network is trained.

    W     symmetric weights between each example and its nearest ones, exp(-4 d^2 / d_k^2), d_k the farthest of them
    S     = D^(-1/2) W D^(-1/2), D the sums of W's rows
    F     = (I - alpha S)^(-1) Y, Y the one-hot labels, zero where there is none
    p_ik  ~ F_ik / sum_i F_ik, scaled to sum to 1 over k: every class has the same mass

Neighbours are looked for among the leading principal components, so nothing depends on the order of the pixels. This
is not in the paper: it gives a semi-supervised GAN more rows with labels while its generator is still poor.

Source: Zhou et al., 2004, "Learning with local and global consistency", equation 4; equal masses as in Zhu, Ghahramani
and Lafferty, 2003, section 4; the scale of the weights from the k-th neighbour as in Zelnik-Manor and Perona, 2004.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["spread_labels", "surest_of_each_class"]

_ROWS, _GROUP = 500, 64
_STEPS, _TOLERANCE = 60, 1e-6
_MOST = 4096
_NUMBERS = 2**22  # that are turned into float32 at a time


@torch.no_grad()
def spread_labels(
    inputs: Tensor,
    labels: Tensor,
    *,
    num_neighbours: int = 10,
    num_components: int = 64,
    alpha: float = 0.99,
) -> Tensor:
    """Class probabilities of every example from the labels of a few.

    Memory grows with N * (num_neighbours + num_components); time with N^2 * num_components (60,000 images: some 20 s
    on a core).

    Args:
        inputs: (N, A...) examples of a real dtype; uint8 pixels give the graph of the same pixels in [0, 1].
        labels: (N,) int64 classes 0..K-1, or -1 where the label is not known; every class has one label or more.
        num_neighbours: k of the graph, 1 <= k < N.
        num_components: how many principal components measure the distance; all A where there are no more.
        alpha: how far labels spread, 0 < alpha < 1.

    Returns:
        (N, K) float64, rows sum to 1; uniform where no label can be reached.

    Raises:
        ValueError: a shape or number out of range, no labels, a class without any, or inputs that are not finite.

    Source: Zhou et al., 2004, equation 4; Zhu et al., 2003, section 4.

    >>> points = torch.tensor([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
    >>> spread_labels(points, torch.tensor([0, -1, -1, 1, -1, -1]), num_neighbours=2).argmax(1)
    tensor([0, 0, 0, 1, 1, 1])
    """
    _check(inputs, labels, num_neighbours, alpha)
    points = principal_components(inputs, num_components)
    graph = _graph(*nearest_neighbours(points, num_neighbours))
    known = labels >= 0
    start = torch.zeros(len(labels), int(labels.max()) + 1, dtype=torch.float64, device=inputs.device)
    start[known, labels[known]] = 1
    reached = _solve(graph, start, alpha).clamp_min_(0)
    shares = reached / reached.sum(0)
    total = shares.sum(1, keepdim=True)
    return torch.where(total > 0, shares / total, torch.full_like(shares, 1 / shares.shape[1]))


@torch.no_grad()
def surest_of_each_class(probabilities: Tensor, share: float) -> Tensor:
    """The examples whose guess is surest, as many of each class as of any other; none that prefers no class.

    Args:
        probabilities: (N, K) of each class.
        share: 0 < share <= 1; at most share * N / K examples of each class are taken.

    Returns:
        (M,) int64 their positions, ascending.

    Raises:
        ValueError: share out of range.

    Source: none; the same number of each class as the released label splits have (paper, section 6.1).

    >>> surest_of_each_class(torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.4, 0.6]]), 0.5)
    tensor([0, 2])
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in 0 < share <= 1; got {share}")
    number, num_classes = probabilities.shape
    most = max(1, round(share * number / num_classes))
    confidence, guess = probabilities.max(1)
    preferred = confidence > (1 + 1e-6) / num_classes  # else no label reached it, and the first class is no guess
    taken = []
    for one in range(num_classes):
        members = ((guess == one) & preferred).nonzero().flatten()
        order = confidence[members].argsort(descending=True, stable=True)
        taken.append(members[order[:most]])
    return torch.cat(taken).sort().values


@torch.no_grad()
def principal_components(inputs: Tensor, num: int) -> Tensor:
    """(N, A...) examples -> (N, min(num, A)) coordinates along the directions of largest variance, the largest first.

    The examples, of any real dtype, are turned into float32 a part at a time, so a set that is mapped from a file is
    never held whole. Where A is above 4,096 the directions are those of at most 4,096 of the examples, evenly spaced,
    and no more than these span.

    >>> principal_components(torch.tensor([[0.0, 0.0], [3.0, 0.1]]), 1).shape
    torch.Size([2, 1])
    """
    mean = sum((some.double().sum(0) for some in _rows(inputs)), torch.zeros(())) / len(inputs)

    def centred(some: Tensor) -> Tensor:
        return some.float() - mean.float()

    if mean.numel() > _MOST:  # a covariance too large to hold: the directions of some examples do
        some = centred(inputs[:: -(-len(inputs) // _MOST)].flatten(1))
        variances, weights = (found.flip(-1)[..., :num] for found in torch.linalg.eigh((some @ some.T).double()))
        kept = variances > 1e-6 * variances[0]  # float32 products
        directions = some.T @ (weights[:, kept] / variances[kept].sqrt()).float()
    else:
        products = (centred(some).T @ centred(some) for some in _rows(inputs))
        covariance = sum((product.double() for product in products), torch.zeros(()))
        directions = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :num].float()
    return torch.cat([centred(some) @ directions for some in _rows(inputs)])


@torch.no_grad()
def nearest_neighbours(points: Tensor, num: int) -> tuple[Tensor, Tensor]:
    """The nearest other points of each point, by squared Euclidean distance.

    Distances are never held for more than a few hundred points at once, and the smallest are looked for only in the
    groups of columns that hold the smallest minima, which is several times faster than a partial sort of whole rows.

    Args:
        points: (N, A) float32.
        num: k, 1 <= k < N.

    Returns:
        (N, k) int64 positions and (N, k) squared distances, nearest first.

    >>> nearest_neighbours(torch.tensor([[0.0], [1.0], [3.0]]), 1)[0].flatten()
    tensor([1, 0, 1])
    """
    number = len(points)
    groups = -(-number // _GROUP)
    squares = points.square().sum(1)
    columns = torch.nn.functional.pad(squares, (0, groups * _GROUP - number), value=torch.inf)
    transposed = torch.nn.functional.pad(points, (0, 0, 0, groups * _GROUP - number)).T.contiguous()
    positions, distances = [], []
    for first in range(0, number, _ROWS):
        own = torch.arange(first, min(first + _ROWS, number), device=points.device)
        # Without the point's own square, the same along a row: the order does not change.
        table = torch.addmm(columns, points[own], transposed, alpha=-2)
        table[own - first, own] = torch.inf
        table = table.view(len(own), groups, _GROUP)
        best = table.amin(2).topk(min(num, groups), largest=False).indices
        some = table.gather(1, best[:, :, None].expand(-1, -1, _GROUP)).flatten(1)
        values, places = some.topk(num, largest=False)
        positions.append(best.gather(1, places // _GROUP) * _GROUP + places % _GROUP)
        distances.append((values + squares[own, None]).clamp_min_(0))
    return torch.cat(positions), torch.cat(distances)


def _rows(inputs: Tensor) -> Iterator[Tensor]:
    """Parts of the examples, (n, A) each, that together hold all rows in order."""
    num = max(1, _NUMBERS // max(1, inputs[0].numel()))
    return (some.flatten(1) for some in torch.split(inputs, num))


def _graph(neighbours: Tensor, distances: Tensor) -> Tensor:
    """(N, N) sparse S, float64."""
    number, num = neighbours.shape
    weights = torch.exp(-4 * distances.double() / distances[:, -1:].double().clamp_min(1e-12))
    rows = torch.arange(number, device=neighbours.device).repeat_interleave(num)
    there = torch.stack([rows, neighbours.flatten()])
    # The larger of both directions: a pair's key is the same from either end.
    low, high = there.min(0).values, there.max(0).values
    keys, place = torch.unique(low * number + high, return_inverse=True)
    larger = torch.zeros(len(keys), dtype=torch.float64, device=keys.device)
    larger.scatter_reduce_(0, place, weights.flatten(), "amax")
    low, high = keys // number, keys % number
    indices = torch.cat([torch.stack([low, high]), torch.stack([high, low])], 1)
    both = torch.cat([larger, larger])
    degree = torch.zeros(number, dtype=torch.float64, device=keys.device).index_add_(0, indices[0], both)
    scale = degree.clamp_min(1e-300).rsqrt()
    values = both * scale[indices[0]] * scale[indices[1]]
    return torch.sparse_coo_tensor(indices, values, (number, number), check_invariants=False).coalesce()


def _solve(graph: Tensor, start: Tensor, alpha: float) -> Tensor:
    """(I - alpha S)^(-1) Y by conjugate gradients, one for each column side by side."""
    solution, residual = torch.zeros_like(start), start.clone()
    direction, size = residual.clone(), residual.square().sum(0)
    goal = size * _TOLERANCE**2
    for _ in range(_STEPS):
        image = direction - alpha * torch.sparse.mm(graph, direction)
        step = size / (direction * image).sum(0).clamp_min(1e-300)
        solution += step * direction
        residual -= step * image
        before, size = size, residual.square().sum(0)
        if bool((size <= goal).all()):
            break
        direction = residual + size / before.clamp_min(1e-300) * direction
    return solution


def _check(inputs: Tensor, labels: Tensor, num_neighbours: int, alpha: float) -> None:
    if inputs.dim() < 2 or labels.shape != inputs.shape[:1]:
        raise ValueError(
            f"inputs must be (N, A...) and labels (N,); got {tuple(inputs.shape)} and {tuple(labels.shape)}"
        )
    if not 1 <= num_neighbours < len(inputs):
        raise ValueError(
            f"num_neighbours must lie in 1..{len(inputs) - 1} for {len(inputs)} examples; got {num_neighbours}"
        )
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie in 0 < alpha < 1; got {alpha}")
    if inputs.is_floating_point() and not all(bool(some.isfinite().all()) for some in _rows(inputs)):
        raise ValueError("inputs must be finite; some are NaN or infinite")
    present = labels[labels >= 0].unique()  # type: ignore[no-untyped-call]
    if not len(present) or len(present) <= int(present.max()):
        raise ValueError("every class 0..K-1 needs at least one label; -1 stands for no label")

"""Label spreading over a graph of neighbors: a first guess at every label, before any network is trained.

    W     symmetric weights between each example and its nearest ones, exp(-4 d^2 / d_k^2), d_k the farthest of them
    S     = D^(-1/2) W D^(-1/2), D the sums of W's rows
    F     = (I - alpha S)^(-1) Y, Y the one-hot labels, zero where there is none
    p_ik  ~ F_ik / sum_i F_ik, scaled to sum to 1 over k: every class has the same mass

Neighbors are looked for among the leading principal components, so nothing depends on the order of the pixels. This
is not in the paper: it gives a semi-supervised GAN more rows with labels while its generator is still poor.

Source: Zhou et al., 2004, "Learning with local and global consistency", equation 4; equal masses as in Zhu, Ghahramani
and Lafferty, 2003, section 4; the scale of the weights from the k-th neighbor as in Zelnik-Manor and Perona, 2004.
"""

import torch
from torch import Tensor

from improved_gan.label_spreading.knn import nearest_neighbors, parts_of, principal_components

__all__ = ["label_spreading", "most_confident_per_class"]

_STEPS, _TOLERANCE = 60, 1e-6


@torch.no_grad()
def label_spreading(
    inputs: Tensor,
    labels: Tensor,
    *,
    num_neighbors: int = 10,
    num_components: int = 64,
    alpha: float = 0.99,
    neighbors: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Class probabilities of every example from the labels of a few.

    Memory grows with N * (num_neighbors + num_components); time with N^2 * num_components (60,000 images: some 20 s
    on a core).

    Args:
        inputs: (N, A...) examples of a real dtype; uint8 pixels give the graph of the same pixels in [0, 1].
        labels: (N,) int64 classes 0..K-1, or -1 where the label is not known; every class has one label or more.
        num_neighbors: k of the graph, 1 <= k < N.
        num_components: how many principal components measure the distance; all A where there are no more.
        alpha: how far labels spread, 0 < alpha < 1.
        neighbors: (N, k) int64 positions and (N, k) squared distances of neighbors found otherwise, nearest first,
            such as `idm_neighbors` finds; the inputs and both numbers then say nothing more.

    Returns:
        (N, K) float64, rows sum to 1; uniform where no label can be reached.

    Raises:
        ValueError: a shape or number out of range, no labels, a class without any, or inputs that are not finite.

    Source: Zhou et al., 2004, equation 4; Zhu et al., 2003, section 4.

    >>> points = torch.tensor([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
    >>> label_spreading(points, torch.tensor([0, -1, -1, 1, -1, -1]), num_neighbors=2).argmax(1)
    tensor([0, 0, 0, 1, 1, 1])
    """
    _check_labels(inputs, labels, alpha)
    if neighbors is None:
        _check_inputs(inputs, num_neighbors)
        neighbors = nearest_neighbors(principal_components(inputs, num_components), num_neighbors)
    graph = _graph(*_checked(*neighbors, labels))
    known = labels >= 0
    start = torch.zeros(len(labels), int(labels.max()) + 1, dtype=torch.float64, device=inputs.device)
    start[known, labels[known]] = 1
    reached = _solve(graph, start, alpha).clamp_min_(0)
    shares = reached / reached.sum(0)
    total = shares.sum(1, keepdim=True)
    return torch.where(total > 0, shares / total, torch.full_like(shares, 1 / shares.shape[1]))


@torch.no_grad()
def most_confident_per_class(probabilities: Tensor, share: float) -> Tensor:
    """The examples whose guess is surest, as many of each class as of any other; none that prefers no class.

    Args:
        probabilities: (N, K) of each class.
        share: 0 < share <= 1; at most share * N / K examples of each class are taken.

    Returns:
        (M,) int64 their positions, ascending.

    Raises:
        ValueError: share out of range.

    Source: none; the same number of each class as the released label splits have (paper, section 6.1).

    >>> most_confident_per_class(torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.4, 0.6]]), 0.5)
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


def _graph(neighbors: Tensor, distances: Tensor) -> Tensor:
    """(N, N) sparse S, float64."""
    number, num = neighbors.shape
    farthest = distances.double().amax(1, keepdim=True)
    weights = torch.exp(-4 * distances.double() / farthest.clamp_min(1e-12))
    rows = torch.arange(number, device=neighbors.device).repeat_interleave(num)
    there = torch.stack([rows, neighbors.flatten()])
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


def _check_labels(inputs: Tensor, labels: Tensor, alpha: float) -> None:
    if inputs.dim() < 2 or labels.shape != inputs.shape[:1]:
        raise ValueError(
            f"inputs must be (N, A...) and labels (N,); got {tuple(inputs.shape)} and {tuple(labels.shape)}"
        )
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie in 0 < alpha < 1; got {alpha}")
    present = labels[labels >= 0].unique()  # type: ignore[no-untyped-call]
    if not len(present) or len(present) <= int(present.max()):
        raise ValueError("every class 0..K-1 needs at least one label; -1 stands for no label")


def _check_inputs(inputs: Tensor, num_neighbors: int) -> None:
    if not 1 <= num_neighbors < len(inputs):
        raise ValueError(
            f"num_neighbors must lie in 1..{len(inputs) - 1} for {len(inputs)} examples; got {num_neighbors}"
        )
    if inputs.is_floating_point() and not all(bool(some.isfinite().all()) for some in parts_of(inputs)):
        raise ValueError("inputs must be finite; some are NaN or infinite")


def _checked(positions: Tensor, distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The neighbors, on the device of the labels."""
    number = len(labels)
    if positions.dim() != 2 or positions.shape != distances.shape or len(positions) != number or not positions.numel():
        got = f"{tuple(positions.shape)} and {tuple(distances.shape)}"
        raise ValueError(f"neighbors must be positions and distances, ({number}, k) each; got {got}")
    if positions.is_floating_point() or int(positions.min()) < 0 or int(positions.max()) >= number:
        raise ValueError(f"neighbors must be at whole positions 0..{number - 1}; got {positions.dtype}")
    if not bool((distances.isfinite() & (distances >= 0)).all()):
        raise ValueError("neighbors must be at finite distances that are not negative")
    return positions.to(labels.device).long(), distances.to(labels.device)

"""Label spreading over a k-NN graph: class probabilities of all examples before any network is trained.

    W     symmetric weights between each example and its k nearest, exp(-4 d^2 / d_k^2), d_k the distance to the k-th
    S     = D^(-1/2) W D^(-1/2), D the row sums of W
    F     = (I - alpha S)^(-1) Y, Y the one-hot labels, zero where there is none
    p_ik  ~ m_k F_ik / sum_i F_ik, scaled to sum to 1 over k: class k has the mass m_k, the same for all by default

F is computed by conjugate gradients, to a residual of 1e-6 or for 60 steps, each of which reaches one edge farther;
examples that nothing has reached by then get the same probability for each class.

Distances are those of the leading principal components, so nothing depends on the order of the pixels. This is not in
the paper: it gives a semi-supervised GAN pseudo-labels while its generated images are still poor.

Source: Zhou et al., 2004, "Learning with local and global consistency", equation 4; equal masses as in Zhu, Ghahramani
and Lafferty, 2003, section 4; the scale of the weights from the k-th neighbor as in Zelnik-Manor and Perona, 2004.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from improved_gan.label_spreading.knn import nearest_neighbors, parts_of, principal_components

__all__ = ["label_spreading", "most_confident_per_class", "spread"]

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
    """Class probabilities of all examples from the labels of a few.

    Memory grows with N * (num_neighbors + num_components); time with N^2 * num_components (60,000 images: some 20 s
    on a core).

    Args:
        inputs: (N, A...) examples of a real dtype; uint8 pixels give the graph of the same pixels in [0, 1].
        labels: (N,) int64 classes 0..K-1, or -1 where the label is not known; every class has one label or more.
        num_neighbors: k of the graph, 1 <= k < N.
        num_components: number of principal components whose distance counts; all A where A is smaller.
        alpha: how far labels spread, 0 < alpha < 1.
        neighbors: (N, k) int64 indices and (N, k) squared distances of neighbors, nearest first, by another distance,
            for example from `idm_neighbors`; the values of `inputs` and both numbers are then ignored.

    Returns:
        (N, K) float64, rows sum to 1; uniform for examples that no label reaches, connected to none or too far away
        (see above).

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
    known = labels >= 0
    start = torch.zeros(len(labels), int(labels.max()) + 1, dtype=torch.float64, device=inputs.device)
    start[known, labels[known]] = 1
    return spread(*neighbors, start, alpha=alpha)


@torch.no_grad()
def spread(
    neighbors: Tensor,
    distances: Tensor,
    start: Tensor,
    *,
    alpha: float = 0.99,
    masses: Callable[[Tensor], Tensor] = torch.ones_like,
) -> Tensor:
    """Class probabilities of all examples from a k-NN graph and the mass that each label puts on its example.

    Args:
        neighbors: (N, k) int64 indices, nearest first.
        distances: (N, k) squared distances.
        start: (N, K) float64, at least 0: Y, the weights of the labels; 0 where there is none.
        alpha: how far labels spread, 0 < alpha < 1.
        masses: sum_i F_ik, (K,), what has reached the examples from each class -> m_k, (K,), above 0.

    Returns:
        (N, K) float64, rows sum to 1; uniform for examples that no label reaches, connected to none or too far away
        (see above).

    Raises:
        ValueError: shapes that disagree, indices out of range, or distances that are not finite.

    Source: Zhou et al., 2004, equation 4; Zhu et al., 2003, section 4.

    >>> neighbors = torch.tensor([[1], [0], [3], [2]])
    >>> start = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0], [0.0, 0.0]], dtype=torch.float64)
    >>> spread(neighbors, torch.ones(4, 1), start).argmax(1)
    tensor([0, 0, 1, 1])
    """
    reached = _solve(_graph(*_checked(neighbors, distances, start)), start, alpha).clamp_min_(0)
    sums = reached.sum(0)
    parts = torch.where(sums > 0, reached / sums * masses(sums), 0.0)  # a class that no example starts with has none
    total = parts.sum(1, keepdim=True)
    return torch.where(total > 0, parts / total, torch.full_like(parts, 1 / parts.shape[1]))


@torch.no_grad()
def most_confident_per_class(probabilities: Tensor, fraction: float) -> Tensor:
    """The examples of highest predicted probability, the same number of each class; none with uniform probabilities.

    Args:
        probabilities: (N, K) of each class.
        fraction: 0 < fraction <= 1; at most fraction * N / K examples of each class, rounded, are taken, or one.

    Returns:
        (M,) int64 their indices, ascending.

    Raises:
        ValueError: fraction out of range.

    Source: none; the same number of each class as the released label splits have (paper, section 6.1).

    >>> most_confident_per_class(torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.4, 0.6]]), 0.5)
    tensor([0, 2])
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must lie in 0 < fraction <= 1; got {fraction}")
    number, num_classes = probabilities.shape
    most = max(1, round(fraction * number / num_classes))
    confidence, predicted = probabilities.max(1)
    preferred = confidence > (1 + 1e-6) / num_classes  # uniform: connected to no label, and argmax means nothing
    taken = []
    for one in range(num_classes):
        members = ((predicted == one) & preferred).nonzero().flatten()
        order = confidence[members].argsort(descending=True, stable=True)
        taken.append(members[order[:most]])
    return torch.cat(taken).sort().values


def _graph(neighbors: Tensor, distances: Tensor) -> Tensor:
    """(N, N) sparse S, float64."""
    number, num = neighbors.shape
    farthest = distances.double().amax(1, keepdim=True)
    weights = torch.exp(-4 * distances.double() / farthest.clamp_min(1e-300))  # 0 / 0 among equal rows is 0
    rows = torch.arange(number, device=neighbors.device).repeat_interleave(num)
    edges = torch.stack([rows, neighbors.flatten()])
    # W is the maximum of both directions: an undirected edge has one key.
    low, high = edges.min(0).values, edges.max(0).values
    keys, key_index = torch.unique(low * number + high, return_inverse=True)
    larger = torch.zeros(len(keys), dtype=torch.float64, device=keys.device)
    larger.scatter_reduce_(0, key_index, weights.flatten(), "amax")
    low, high = keys // number, keys % number
    indices = torch.cat([torch.stack([low, high]), torch.stack([high, low])], 1)
    both = torch.cat([larger, larger])
    degree = torch.zeros(number, dtype=torch.float64, device=keys.device).index_add_(0, indices[0], both)
    scale = degree.clamp_min(1e-300).rsqrt()
    values = both * scale[indices[0]] * scale[indices[1]]
    return torch.sparse_coo_tensor(indices, values, (number, number), check_invariants=False).coalesce()


def _solve(graph: Tensor, start: Tensor, alpha: float) -> Tensor:
    """(I - alpha S)^(-1) Y by conjugate gradients, for all columns at once."""
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


def _checked(indices: Tensor, distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The neighbors, on the device of the labels."""
    number = len(labels)
    if indices.dim() != 2 or indices.shape != distances.shape or len(indices) != number or not indices.numel():
        got = f"{tuple(indices.shape)} and {tuple(distances.shape)}"
        raise ValueError(f"neighbors must be indices and distances, ({number}, k) each; got {got}")
    if indices.is_floating_point() or int(indices.min()) < 0 or int(indices.max()) >= number:
        raise ValueError(f"neighbors must be integer indices in 0..{number - 1}; got {indices.dtype}")
    if not bool((distances.isfinite() & (distances >= 0)).all()):
        raise ValueError("distances of neighbors must be finite and not negative")
    return indices.to(labels.device).long(), distances.to(labels.device)

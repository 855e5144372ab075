"""Minibatch discrimination (paper, section 3.2): D's features include the similarity of each example to its batch.

    M_i = f(x_i) T,  T in R^{A x B x C};   c_b(x_i, x_j) = exp(-||M_{i,b} - M_{j,b}||_1)
    paper       o(x_i)_b = sum_j c_b(x_i, x_j), j = i included (it adds exactly 1)
    released    o(x_i)_b = sum_{j != i} c_b(x_i, x_j) + bias_b,   T_abc = exp(s_bc) V_abc / ||V_bc||
                initialization: half the mean distance to the nearest other example is 1 (by s), o has mean 0 (by bias)
    two-sided   the released ImageNet network: the mean of c_b over the real half and over the generated half

Feature maps with positions, (N, C, L) or (N, C, H, W), are compared by their pooled features, by default the mean
over positions; o is then appended as B channels, constant over positions.

The output is [f(x_i), o(x_i)]. Real and generated examples need separate calls, or `groups`: they are not compared with
each other (except in the two-sided form). The batch is the global one over all ranks. o grows with the batch size, and
D(x) depends on the other examples of the batch: such a D should not be deployed as a classifier.
"""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from improved_gan.distributed import batch_sizes, gather_with_gradient, rank, world_size
from improved_gan.kernels.l1_similarity import l1_similarity
from improved_gan.kernels.precision import at_least_float32, precise

__all__ = ["MinibatchDiscrimination", "minibatch_similarity", "real_and_generated_similarity"]


def _mean_over_positions(features: Tensor) -> Tensor:
    """(N, C, ...) -> (N, C), in float32 or better."""
    return precise(features).flatten(2).mean(2)


def minibatch_similarity(
    projections: Tensor, others: Tensor | None = None, *, include_self: bool = True, across_ranks: bool = True
) -> Tensor:
    """The summed similarity of each example to its batch, o(x_i)_b = sum_j c_b(x_i, x_j).

    Memory is O(N B C) and a tile, forward and backward; half precision is computed in float32.

    Args:
        projections: (N, B, C) the rows M_i: B kernels of C numbers.
        others: (M, B, C) compare with these examples instead of the example's own batch.
        include_self: whether j = i counts, as in the paper; the released code leaves it out.
        across_ranks: whether the sum runs over the batches of all ranks.

    Returns:
        (N, B) in the dtype of `projections`.

    Raises:
        ValueError: an empty batch, shapes that disagree, or include_self=False together with `others`.

    Source: paper, section 3.2.

    >>> minibatch_similarity(torch.zeros(3, 1, 5))
    tensor([[3.],
            [3.],
            [3.]])
    """
    _check(projections, others)
    if others is not None and not include_self:
        raise ValueError(
            "include_self=False needs the example's own batch; with `others` there is no self to leave out"
        )
    rows, columns = precise(projections), None if others is None else others.to(at_least_float32(projections.dtype))
    first = 0
    if across_ranks and world_size() > 1:
        own = rows if columns is None else columns
        sizes = batch_sizes(own.shape[0], own.device)
        first, columns = sum(sizes[: rank()]), gather_with_gradient(own, sizes=sizes)
    return l1_similarity(rows, columns, skip=None if include_self else first).to(projections.dtype)


def real_and_generated_similarity(
    real_projections: Tensor, generated_projections: Tensor, *, across_ranks: bool = True, over_pairs: bool = False
) -> tuple[Tensor, Tensor]:
    """The mean similarity of each example to the real half and to the generated half of the batch.

    An example is left out of its own half's mean.

    Args:
        real_projections: (N, B, C) the rows M_i of real examples, at least 2 over all ranks.
        generated_projections: (M, B, C) of generated examples, at least 2 over all ranks.
        across_ranks: whether the halves are those of all ranks.
        over_pairs: divide the sum over a half by the number of all pairs with one example in it, B (2B - 1) for two
            halves of B, as the released code does; the features are then B times as small and more.

    Returns:
        (N, 2B), (M, 2B) for real and for generated examples, first to the real half, then to the generated half.

    Raises:
        ValueError: a half of fewer than two examples, or shapes that disagree.

    Source: released ImageNet discriminator.

    >>> [half.shape for half in real_and_generated_similarity(torch.zeros(3, 7, 5), torch.ones(4, 7, 5))]
    [torch.Size([3, 14]), torch.Size([4, 14])]
    """
    _check(real_projections, generated_projections)
    halves = real_projections, generated_projections
    counts = [sum(batch_sizes(len(h), h.device)) if across_ranks else len(h) for h in halves]
    if min(counts) < 2:
        raise ValueError(f"each half needs at least 2 examples to compare; got {counts[0]} real, {counts[1]} generated")
    results, total = [], sum(counts)
    for index, own in enumerate(halves):
        means = [
            minibatch_similarity(own, include_self=False, across_ranks=across_ranks)
            / (count * (total - 1) if over_pairs else count - 1)
            if place == index
            else minibatch_similarity(own, other, across_ranks=across_ranks)
            / (count * (total - 1) if over_pairs else count)
            for place, (other, count) in enumerate(zip(halves, counts, strict=True))
        ]
        results.append(torch.cat(means, dim=1))
    return results[0], results[1]


class MinibatchDiscrimination(nn.Module):
    """Appends to each example's features its similarities to the other examples, one per kernel.

    Args:
        in_features: A, the number of features of an example.
        num_kernels: B, the number of similarities that are appended.
        kernel_dim: C, the dimension in which each of them measures distance.
        variant: "paper" or "released", the formulas above. For "released" run `data_dependent_init_` on the network.
        across_ranks: whether the batch is that of all ranks.
        pooling: for features with positions, from (N, C, ...) to the (N, A) that are compared; by default the mean over
            positions, with A = C. `torch.nn.Flatten()` compares all positions, with A = C H W.
        init_std: standard deviation of T at initialization (of V in the released variant, where only the size of the
            first steps depends on it); None for A**-0.5, so that M has the scale of the features. The authors' scripts
            have 0.1 (8 June 2016) and 0.05 (from 14 June on), the paper gives none.

    Raises:
        ValueError: an unknown variant, a size below 1, or an `init_std` that is not positive. When called: features
            that are not (N, A) after the pooling.

    Shape: (N, A) -> (N, A + B); (N, C, L) -> (N, C + B, L); (N, C, H, W) -> (N, C + B, H, W).

    Source: paper, section 3.2; released CIFAR-10 and SVHN experiments (B = 100, C = 5), ImageNet (B = 300, C = 50).

    >>> MinibatchDiscrimination(192, num_kernels=100, kernel_dim=5)(torch.randn(8, 192)).shape
    torch.Size([8, 292])
    >>> MinibatchDiscrimination(192)(torch.randn(8, 192, 4, 4)).shape
    torch.Size([8, 292, 4, 4])
    """

    def __init__(
        self,
        in_features: int,
        num_kernels: int = 100,
        kernel_dim: int = 5,
        *,
        variant: str = "paper",
        across_ranks: bool = True,
        pooling: Callable[[Tensor], Tensor] = _mean_over_positions,
        init_std: float | None = None,
    ) -> None:
        super().__init__()
        if variant not in ("paper", "released"):
            raise ValueError(f"variant must be 'paper' or 'released'; got {variant!r}")
        if min(in_features, num_kernels, kernel_dim) < 1:
            raise ValueError(f"sizes must be at least 1; got {in_features=}, {num_kernels=}, {kernel_dim=}")
        if init_std is not None and not init_std > 0:
            raise ValueError(f"init_std must be positive, or None for in_features**-0.5; got {init_std}")
        self.variant, self.across_ranks, self.pooling = variant, across_ranks, pooling
        std = in_features**-0.5 if init_std is None else init_std
        self.weight = nn.Parameter(torch.randn(in_features, num_kernels, kernel_dim) * std)
        released = variant == "released"
        self.log_weight_scale = nn.Parameter(torch.zeros(num_kernels, kernel_dim)) if released else None
        self.bias = nn.Parameter(torch.full((num_kernels,), -1.0)) if released else None

    def forward(self, features: Tensor, groups: list[int] | None = None) -> Tensor:
        """`features` (N, A) or (N, C, ...) and their similarities, (N, A + B) or (N, C + B, ...).

        `groups` are sizes that sum to N: rows of different groups (real, generated) are not compared.
        """
        projections = self.project(features)
        similarities = [self._similarity(group) for group in torch.split(projections, groups or [len(features)])]
        return _appended(features, torch.cat(similarities))

    def forward_real_and_generated(
        self, real_features: Tensor, generated_features: Tensor, *, over_pairs: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The released ImageNet form: (N, A), (M, A) -> (N, A + 2B), (M, A + 2B), or the same with positions.

        See `real_and_generated_similarity`.
        """
        halves = real_features, generated_features
        means = real_and_generated_similarity(
            *(self.project(half) for half in halves), across_ranks=self.across_ranks, over_pairs=over_pairs
        )
        real, generated = (_appended(half, mean) for half, mean in zip(halves, means, strict=True))
        return real, generated

    def project(self, features: Tensor) -> Tensor:
        """M_i = f(x_i) T: (N, A) -> (N, B, C), without autocast, which would round away distances of close rows.

        Features with positions, (N, C, ...), are pooled first.
        """
        weight, given = self.weight, tuple(features.shape)
        features = self.pooling(features) if features.dim() > 2 else features
        if features.dim() != 2 or features.shape[1] != weight.shape[0]:
            pooled = "" if len(given) < 3 else f", pooled from {given}"
            raise ValueError(
                f"features must have shape (N, {weight.shape[0]}), as in_features says, or be pooled to it; "
                f"got {tuple(features.shape)}{pooled}"
            )
        if self.log_weight_scale is not None:
            weight = weight * (self.log_weight_scale.exp() / weight.norm(dim=0))
        dtype = torch.promote_types(features.dtype, weight.dtype)
        device = features.device.type
        with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
            return (features.to(dtype) @ weight.flatten(1).to(dtype)).reshape(-1, *weight.shape[1:])

    @torch.no_grad()
    def init_from_batch_(self, features: Tensor) -> None:
        """Set log scale and bias of the released variant from one batch (N, A) or (N, C, ...), N >= 2 over all ranks.

        `data_dependent_init_` calls it when it reaches this layer. No effect on the paper's variant.

        Raises:
            ValueError: fewer than two examples, or a kernel in which all of them are the same.
        """
        if self.log_weight_scale is None or self.bias is None:
            return
        projections = precise(self.project(features))
        everyone = gather_with_gradient(projections) if self.across_ranks else projections
        if len(everyone) < 2:
            raise ValueError(f"a batch of at least 2 examples is needed; got features {tuple(features.shape)}")
        half = 0.5 * torch.stack([_mean_smallest_distance(kernel) for kernel in everyone.unbind(1)])
        if not bool((half > 0).all() and half.isfinite().all()):
            raise ValueError(
                "the examples of the batch do not differ (or are not finite): give a batch of different examples"
            )
        self.log_weight_scale.sub_(half.log()[:, None])
        scaled = l1_similarity(everyone / half[:, None], skip=0)
        self.bias.copy_(-scaled.mean(0))

    def _similarity(self, projections: Tensor) -> Tensor:
        similarity = minibatch_similarity(
            projections, include_self=self.variant == "paper", across_ranks=self.across_ranks
        )
        return similarity if self.bias is None else similarity + self.bias

    def extra_repr(self) -> str:
        """The settings, for printing."""
        in_features, num_kernels, kernel_dim = self.weight.shape
        return f"{in_features}, num_kernels={num_kernels}, kernel_dim={kernel_dim}, variant={self.variant!r}"


def _appended(features: Tensor, similarities: Tensor) -> Tensor:
    """(N, C, ...) and (N, B) -> (N, C + B, ...), the similarities repeated at every position."""
    shape = (*similarities.shape, *[1] * (features.dim() - 2))
    repeated = similarities.to(features.dtype).view(shape).expand(-1, -1, *features.shape[2:])
    return torch.cat([features, repeated], dim=1)


def _mean_smallest_distance(points: Tensor) -> Tensor:
    """(N, C) -> (): the distance of each example to the nearest other one, on average."""
    return torch.cdist(points, points, p=1).fill_diagonal_(torch.inf).amin(1).mean()


def _check(projections: Tensor, others: Tensor | None) -> None:
    if projections.dim() != 3 or 0 in projections.shape:
        raise ValueError(f"projections must have shape (N, B, C), not empty; got {tuple(projections.shape)}")
    if others is not None and (others.dim() != 3 or len(others) == 0 or others.shape[1:] != projections.shape[1:]):
        raise ValueError(
            f"the two batches must have shapes (N, B, C) and (M, B, C), not empty; got "
            f"{tuple(projections.shape)} and {tuple(others.shape)}"
        )

"""Minibatch standard deviation (Karras et al., 2018, section 3): minibatch discrimination without parameters.

With groups of G examples, f the features of an example and p a position:

    s_cp = sqrt(1/G sum_i (f_icp - mean_cp)^2 + eps)       the standard deviation within the group
    o    = mean over features c and positions p of s_cp    one number for all examples of the group

The output is [f, o], with o repeated at every position: a D that sees it knows how much the examples of a batch differ,
so a G that collapsed is found out. Groups are consecutive rows of the global batch, in order of rank, and the last one
is smaller where G does not divide N: so o depends neither on the number of ranks nor on how rows fall onto them.

Real and generated examples need separate calls, or `groups`, as in minibatch discrimination.
"""

import torch
from torch import Tensor, nn

from improved_gan.distributed import batch_sizes, gather_with_gradient, rank, world_size
from improved_gan.kernels.precision import precise

__all__ = ["MinibatchStandardDeviation"]


class MinibatchStandardDeviation(nn.Module):
    """Appends to the features the mean standard deviation within a group of examples, as one channel or several.

    Args:
        group_size: G, the number of examples that are compared; None for the whole batch.
        num_channels: F, the number of appended channels: the C features are split into F consecutive parts, each with a
            mean of its own.
        eps: added to the variance; the value of a lone example, or of identical ones, is sqrt(eps), its gradient 0.
        across_ranks: whether the batch is that of all ranks.

    Raises:
        ValueError: a group of fewer than 2, no channels, or an eps that is not positive. When called: an empty batch,
            no feature dimension, C that F does not divide, or `groups` that do not sum to N.

    Shape: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) -> the same with C + F features. Any N. Half precision is
        computed in float32; the output has the input's dtype.

    Source: Karras et al., 2018 (progressive growing), where F = 1 and G = 4 (N if smaller).

    >>> MinibatchStandardDeviation()(torch.randn(6, 512, 4, 4)).shape
    torch.Size([6, 513, 4, 4])
    """

    def __init__(
        self, group_size: int | None = 4, *, num_channels: int = 1, eps: float = 1e-8, across_ranks: bool = True
    ) -> None:
        super().__init__()
        if group_size is not None and group_size < 2:
            raise ValueError(f"group_size must be at least 2, or None for the whole batch; got {group_size}")
        if num_channels < 1 or not eps > 0:
            raise ValueError(f"num_channels must be at least 1 and eps above 0; got {num_channels} and {eps}")
        self.group_size, self.num_channels, self.eps, self.across_ranks = group_size, num_channels, eps, across_ranks

    def forward(self, features: Tensor, groups: list[int] | None = None) -> Tensor:
        """`features` (N, C, ...) and their standard deviations, (N, C + F, ...).

        `groups` are sizes that sum to N, as in `MinibatchDiscrimination`: rows of different ones (real, generated) are
        not compared.
        """
        if features.dim() < 2 or 0 in features.shape or features.shape[1] % self.num_channels:
            wanted = "(N, C, ...), not empty" + (f", {self.num_channels} dividing C" if self.num_channels > 1 else "")
            raise ValueError(f"features must have shape {wanted}; got {tuple(features.shape)}")
        if groups is not None and (sum(groups) != len(features) or min(groups) < 1):
            raise ValueError(f"groups must be sizes that sum to N = {len(features)}; got {groups}")
        parts = torch.split(precise(features), groups or [len(features)])
        statistics = torch.cat([self._of_each_example(part) for part in parts]).to(features.dtype)
        shape = (*statistics.shape, *[1] * (features.dim() - 2))
        return torch.cat([features, statistics.view(shape).expand(-1, -1, *features.shape[2:])], dim=1)

    def _of_each_example(self, rows: Tensor) -> Tensor:
        """(N, C, ...) -> (N, F): each example's group's statistic."""
        sizes = batch_sizes(len(rows), rows.device) if self.across_ranks and world_size() > 1 else [len(rows)]
        group = self.group_size or sum(sizes)
        # Where no group reaches over the edge of a rank, nothing but the sizes has to be exchanged.
        if all(size % group == 0 for size in sizes[:-1]):
            return self._of_groups(rows, group)
        first = sum(sizes[: rank()])
        return self._of_groups(gather_with_gradient(rows, sizes=sizes), group)[first : first + len(rows)]

    def _of_groups(self, rows: Tensor, group: int) -> Tensor:
        """(N, C, ...) -> (N, F) for consecutive groups, the last one smaller."""
        whole = len(rows) // group * group
        blocks = [(rows[:whole], group), (rows[whole:], len(rows) - whole)]
        return torch.cat([self._of_equal_groups(some, size) for some, size in blocks if len(some)])

    def _of_equal_groups(self, rows: Tensor, group: int) -> Tensor:
        """The same where `group` divides N."""
        grouped = rows.reshape(-1, group, self.num_channels, rows[0].numel() // self.num_channels)
        variance = (grouped - grouped.mean(1, keepdim=True)).square().mean(1)  # (groups, F, C/F times positions)
        return (variance + self.eps).sqrt().mean(2).repeat_interleave(group, dim=0, output_size=len(rows))

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return f"group_size={self.group_size}, num_channels={self.num_channels}, eps={self.eps}"

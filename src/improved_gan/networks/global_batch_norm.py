"""Batch normalization over the global batch: the rows of all ranks, on any device.

    y = (x - E[x]) / sqrt(E[x^2] - E[x]^2 + eps) * weight + bias,   E over the rows (and spatial positions) of all ranks

In one process it is PyTorch's `batch_norm`. PyTorch's `SyncBatchNorm` does the same, on GPUs only.

Use: `convert_global_batch_norm(network)` before training over several ranks; the state dict keeps its names and values.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from improved_gan.distributed import batch_sizes, global_mean, world_size
from improved_gan.kernels.precision import at_least_float32, precise
from improved_gan.kernels.recomputation import in_backward
from improved_gan.kernels.vmap_fallback import uses_reference_ops

__all__ = ["GlobalBatchNorm", "batch_norm", "convert_global_batch_norm"]


def batch_norm(
    values: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """As `torch.nn.functional.batch_norm`, with the statistics of the rows of all ranks; (N, C, ...) -> (N, C, ...).

    A recomputation for the gradient (`torch.utils.checkpoint`) does not update the running statistics a second time.

    >>> batch_norm(torch.tensor([[1.0], [3.0]]), None, None, None, None, True, 0.1, 1e-12)
    tensor([[-1.],
            [ 1.]])
    """
    if training and running_mean is not None and in_backward():
        running_mean = running_var = None
    if uses_reference_ops() and running_mean is not None:  # under vmap batch norm takes no mixed dtypes
        values = values.to(torch.promote_types(values.dtype, running_mean.dtype))
    if running_mean is not None:  # statistics may be the more precise ones
        weight, bias = _at_least_as_precise(weight, running_mean), _at_least_as_precise(bias, running_mean)
    if not training or world_size() == 1:
        return F.batch_norm(values, running_mean, running_var, weight, bias, training, momentum, eps)
    rows = values.movedim(1, -1).flatten(0, -2)
    rows = precise(rows)
    # Two passes, as E[x^2] - E[x]^2 cancels where the mean is large; the running variance is the unbiased one.
    mean = global_mean(rows)
    variance = global_mean((rows - mean).square())
    if running_mean is not None and running_var is not None:
        count = sum(batch_sizes(len(rows), rows.device))
        _update_running(running_mean, mean, momentum)
        _update_running(running_var, variance * (count / max(1, count - 1)), momentum)
    scale = (variance + eps).rsqrt()
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    shape = (1, -1, *[1] * (values.dim() - 2))
    return torch.addcmul(shift.view(shape), values.to(rows.dtype), scale.view(shape)).to(values.dtype)


class GlobalBatchNorm(_BatchNorm):
    """`BatchNorm1d` or `BatchNorm2d` over the rows of all ranks; made by `convert_global_batch_norm`.

    Running statistics stay in float32 or better when the network is converted to half precision: as a mean over all
    batches (momentum None) they would stop changing after a few hundred.
    """

    def _check_input_dim(self, values: Tensor) -> None:
        if values.dim() < 2 or values.shape[1] != self.num_features:
            raise ValueError(f"input must be (N, {self.num_features}, ...); got {tuple(values.shape)}")

    def forward(self, values: Tensor) -> Tensor:
        """(N, C, ...) -> the same."""
        self._check_input_dim(values)
        training = self.training or self.running_mean is None
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None and not in_backward():
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the mean of all batches so far
                momentum = 1.0 / float(self.num_batches_tracked)
        return batch_norm(
            values, self.running_mean, self.running_var, self.weight, self.bias, training, momentum, self.eps
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """As any layer, but statistics keep their dtype where the new one is less precise than float32."""
        before = {name: buffer for name, buffer in self.named_buffers() if buffer.is_floating_point()}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            moved = self.get_buffer(name)
            if moved.dtype != at_least_float32(moved.dtype):
                setattr(self, name, buffer.to(moved.device))
        return self


def _at_least_as_precise(values: Tensor | None, other: Tensor) -> Tensor | None:
    """`values` as they are where nothing is to do: a captured graph keeps a conversion that changes nothing."""
    if values is None or values.dtype == (dtype := torch.promote_types(values.dtype, other.dtype)):
        return values
    return values.to(dtype)


def convert_global_batch_norm(network: nn.Module) -> nn.Module:
    """Replace every BatchNorm in the network, in place, and return it; in one process nothing changes.

    Parameters and running statistics stay the same tensors (except statistics in half precision) under the same names,
    so checkpoints load either way.

    >>> [type(one).__name__ for one in convert_global_batch_norm(nn.Sequential(nn.BatchNorm1d(4)))]
    ['BatchNorm1d']
    """
    if world_size() == 1:
        return network
    converted: dict[int, nn.Module] = {}
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):  # named_children leaves out a second name of a layer
            if isinstance(child, _BatchNorm) and not isinstance(child, GlobalBatchNorm):
                parent.register_module(name, converted.setdefault(id(child), _converted(child)))
    return network


def _converted(norm: _BatchNorm) -> GlobalBatchNorm:
    layer = GlobalBatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    layer.weight, layer.bias = norm.weight, norm.bias
    for name in ("running_mean", "running_var"):
        statistics = getattr(norm, name)
        setattr(layer, name, statistics if statistics is None else precise(statistics))
    layer.num_batches_tracked = norm.num_batches_tracked
    return layer.train(norm.training)


@torch.no_grad()
def _update_running(running: Tensor, value: Tensor, momentum: float) -> None:
    running.lerp_(value.detach().to(running.dtype), momentum)

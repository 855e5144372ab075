"""Virtual batch normalization (paper, section 3.5): each example is normalized by a fixed reference batch and itself.

With n reference examples and w = 1/(n + 1), for each channel (statistics over space too, where there is any):

    mean     = (1 - w) mean_ref + w mean_x            mean_x: over the example's own space, not over the live batch
    variance = (1 - w) E_ref[v^2] + w E_x[v^2] - mean^2
             = (1 - w) var_ref + w var_x + w (1 - w) (mean_x - mean_ref)^2       equal, and never negative in floats
    output   = (v - mean) / sqrt(variance + eps) * weight + bias

and the reference itself by its own statistics alone. In training mode the reference runs through the network with the
live batch, with gradient. In eval mode its statistics are cached, and an image does not depend on its batch.

Use, in the generator only: `generator = ReferenceBatch(convert_virtual_batch_norm(generator), reference_latents)`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from improved_gan.kernels.precision import precise
from improved_gan.kernels.recomputation import in_backward

__all__ = ["VirtualBatchNorm", "convert_virtual_batch_norm"]

_NO_REFERENCE = (
    "VirtualBatchNorm has no reference batch: put the network into ReferenceBatch(...), and call that, not the network"
)
_CONVERTIBLE = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class VirtualBatchNorm(nn.Module):
    """Normalizes by a reference batch and the example itself; `ReferenceBatch` sets the number of reference rows.

    Statistics are computed in float32 or better, under autocast too; the output has the input's dtype.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance.
        affine: whether a scale and a shift for each channel are learned.

    Raises:
        ValueError: no channels or a negative eps. When called: an input of another shape.
        RuntimeError: called with no reference.

    Shape: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) -> the same, in the input's memory format.

    Source: paper, section 3.5.

    >>> layer = VirtualBatchNorm(3)
    >>> layer.begin_reference(8)
    >>> layer(torch.randn(8 + 2, 3, 4, 4)).shape
    torch.Size([10, 3, 4, 4])
    """

    reference_mean: Tensor
    reference_variance: Tensor

    def __init__(self, num_features: int, *, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        if num_features < 1 or not eps >= 0:
            raise ValueError(f"num_features must be at least 1 and eps at least 0; got {num_features} and {eps}")
        self.num_features, self.eps = num_features, eps
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        # Not saved: `ReferenceBatch` computes them again.
        self.register_buffer("reference_mean", torch.zeros(num_features), persistent=False)
        self.register_buffer("reference_variance", torch.ones(num_features), persistent=False)
        # The number of leading reference rows (None: outside of a pass), whether to cache their statistics, and the
        # number of examples of the cached ones.
        self.reference_rows: int | None = None
        self.keeps, self.kept_size = False, 0
        # The number of reference rows of the last pass by (rows, mode): `torch.utils.checkpoint` runs a pass again in
        # the backward pass, after `end_reference`.
        self._past: dict[tuple[int, bool], int] = {}

    def begin_reference(self, num_rows: int, *, keep: bool = False) -> None:
        """The first `num_rows` rows are the reference, whose statistics are cached if `keep`; 0: use those cached."""
        self.reference_rows, self.keeps = num_rows, keep
        self.kept_size = 0 if keep else self.kept_size

    def end_reference(self) -> None:
        """End the pass; without `begin_reference` only its recomputation in the backward pass may follow."""
        self.reference_rows, self.keeps = None, False

    def forward(self, values: Tensor) -> Tensor:
        """`values` normalized, (N, C, ...) -> (N, C, ...); leading rows of the reference by their own statistics."""
        n, rows = self._leading_rows(values), precise(values)
        mean, variance = _own_statistics(rows)
        if n == 0:
            mean, variance = _mixed_statistics(
                self.reference_mean, self.reference_variance, self.kept_size, mean, variance
            )
            return self._normalized(rows, mean, variance).to(values.dtype)
        # The reference's variance over examples and space: mean of the variances plus variance of the means.
        of_mean = mean[:n].mean(0)
        of_variance = variance[:n].mean(0) + (mean[:n] - of_mean).square().mean(0)
        if self.keeps:
            self.reference_mean, self.reference_variance, self.kept_size = of_mean.detach(), of_variance.detach(), n
        live = _mixed_statistics(of_mean, of_variance, n, mean[n:], variance[n:])
        mean, variance = torch.cat([of_mean.expand(n, -1), live[0]]), torch.cat([of_variance.expand(n, -1), live[1]])
        return self._normalized(rows, mean, variance).to(values.dtype)

    def _normalized(self, values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """(v - mean) scale + bias as v scale + (bias - mean scale): one pass over the values."""
        scale = (variance + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        shape = (*scale.shape, *[1] * (values.dim() - 2))
        return torch.addcmul(shift.view(shape), values, scale.view(shape))

    def _leading_rows(self, values: Tensor) -> int:
        """The number of rows that are the reference."""
        if not 2 <= values.dim() <= 5 or values.shape[1] != self.num_features:
            wanted = f"(N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) with C = {self.num_features}"
            raise ValueError(f"input must be {wanted}; got {tuple(values.shape)}")
        num = self.reference_rows
        if num is None:
            return self._leading_rows_again(values)
        if num > len(values):
            raise ValueError(f"the first {num} rows must be the reference; got {tuple(values.shape)}")
        if num == self.kept_size == 0:
            raise RuntimeError(_NO_REFERENCE)
        if self.keeps and self.kept_size:
            raise RuntimeError("this VirtualBatchNorm ran twice in one pass: use a separate layer in each place")
        if not torch.compiler.is_compiling():
            self._past[len(values), self.training] = num
        return num

    def _leading_rows_again(self, values: Tensor) -> int:
        """The same outside of a pass of `ReferenceBatch`: in a recomputed pass, or of the network by itself."""
        if in_backward():
            num_rows = len(values)  # not before: a graph that is captured for any number of rows would keep this one
            if (num_rows, self.training) not in self._past:
                raise RuntimeError(
                    "torch.utils.checkpoint runs a pass through VirtualBatchNorm again in another mode than the first "
                    "time: call backward() before train() or eval()"
                )
            return self._past[num_rows, self.training]
        if self.training or self.kept_size == 0:
            raise RuntimeError(_NO_REFERENCE)
        return 0

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return f"{self.num_features}, eps={self.eps}, affine={self.weight is not None}"


def _own_statistics(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (N, C) of each example (N, C, ...) over its spatial positions.

    On CPUs several times as fast as torch.var_mean.
    """
    if values.dim() == 2:
        return values, torch.zeros_like(values)
    mean = values.flatten(2).mean(2)
    return mean, (values.flatten(2) - mean.unsqueeze(2)).square().mean(2)


def _mixed_statistics(
    mean: Tensor, variance: Tensor, size: int, own_mean: Tensor, own_variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and variance (N, C) of each example together with a reference (C,) of `size` examples."""
    w, difference = 1 / (size + 1), own_mean - mean
    return mean + w * difference, (1 - w) * variance + w * own_variance + w * (1 - w) * difference.square()


def convert_virtual_batch_norm(network: nn.Module) -> nn.Module:
    """Replace every BatchNorm1d, 2d and 3d by VirtualBatchNorm, in the manner of `SyncBatchNorm`'s conversion.

    Args:
        network: any module; changed in place. Scales and shifts stay the same parameters; running statistics are
            dropped.

    Returns:
        The same network, or a new layer where `network` itself is a BatchNorm.
        Source: paper, section 3.5.

    Raises:
        ValueError: no batch norm in the network, or one of another kind, `SyncBatchNorm` among them.

    >>> convert_virtual_batch_norm(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))[1]
    VirtualBatchNorm(4, eps=1e-05, affine=True)
    """
    if isinstance(network, _CONVERTIBLE):
        return _converted(network)
    _check_norms(network)
    converted: dict[int, nn.Module] = {}  # a layer used in several places stays one layer
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):  # named_children leaves out a second name of a layer
            if isinstance(child, _CONVERTIBLE):
                parent.register_module(name, converted.setdefault(id(child), _converted(child)))
    return network


def _check_norms(network: nn.Module) -> None:
    """Check that there is a batch norm to convert (or converted already), and none that cannot be converted."""
    layers = list(network.modules())
    norms = [one for one in layers if isinstance(one, _BatchNorm)]
    if others := sorted({type(one).__name__ for one in norms if not isinstance(one, _CONVERTIBLE)}):
        raise ValueError(
            f"convert_virtual_batch_norm takes BatchNorm1d, 2d and 3d; got {', '.join(others)}. {_remedy(others)}"
        )
    if not norms and not any(isinstance(one, VirtualBatchNorm) for one in layers):
        similar = sorted({type(one).__name__ for one in layers if "Norm" in type(one).__name__})
        found = f" (it has {', '.join(similar)})" if similar else ""
        raise ValueError(
            f"{type(network).__name__} has no batch norm to convert{found}: add VirtualBatchNorm(C) layers, or use the "
            f"network without conversion"
        )


def _remedy(names: Sequence[str]) -> str:
    if "SyncBatchNorm" in names:
        return (
            "Convert before SyncBatchNorm.convert_sync_batchnorm: a reference batch needs no statistics of other ranks."
        )
    if any(name.startswith("Lazy") for name in names):
        return "Run the network on a batch first: a lazy layer then becomes one of those."
    return "Replace it by one of those, or by VirtualBatchNorm(C), first."


def _converted(norm: _BatchNorm) -> VirtualBatchNorm:
    layer = VirtualBatchNorm(norm.num_features, eps=norm.eps, affine=norm.affine).train(norm.training)
    if norm.affine:
        layer.weight, layer.bias = norm.weight, norm.bias
    return layer

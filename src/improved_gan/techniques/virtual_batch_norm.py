"""Virtual batch normalization (paper, section 3.5): each example is normalised by a fixed reference batch and itself.

With n reference examples and w = 1/(n + 1), for each channel (statistics over space too, where there is any):

    mean     = (1 - w) mean_ref + w mean_x            mean_x: over the example's own space, not over the live batch
    variance = (1 - w) E_ref[v^2] + w E_x[v^2] - mean^2
             = (1 - w) var_ref + w var_x + w (1 - w) (mean_x - mean_ref)^2       the same number, never negative
    output   = (v - mean) / sqrt(variance + eps) * weight + bias

and the reference itself by its own statistics alone. While training, the reference runs through the network with the
live batch, with gradient. In eval mode its statistics are kept, and an image does not depend on its neighbours.

Use, in the generator only: `generator = ReferenceBatch(convert_virtual_batch_norm(generator), reference_latents)`.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.distributed import from_main

__all__ = ["ReferenceBatch", "VirtualBatchNorm", "convert_virtual_batch_norm"]


class VirtualBatchNorm(nn.Module):
    """Normalises by a reference batch and the example itself; `ReferenceBatch` tells it where the reference is.

    Statistics are computed in float32 or better, under autocast too; the output has the input's dtype.

    Args:
        num_features: C, the number of channels.
        eps: what is added to the variance.
        affine: whether a scale and a shift for each channel are learnt.

    Raises:
        ValueError: no channels or a negative eps. When called: an input of another shape.
        RuntimeError: called with no reference.

    Shape: (N, C), (N, C, L) or (N, C, H, W) -> the same.

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
        # Not saved: `ReferenceBatch` makes them again.
        self.register_buffer("reference_mean", torch.zeros(num_features), persistent=False)
        self.register_buffer("reference_variance", torch.ones(num_features), persistent=False)
        # How many leading rows are the reference, whether to keep its statistics, and of how many examples they are.
        self.reference_rows, self.keeps, self.kept_size = 0, False, 0

    def begin_reference(self, num_rows: int, *, keep: bool = False) -> None:
        """The first `num_rows` of the next inputs are the reference, `keep` its statistics; 0: those kept are used."""
        self.reference_rows, self.keeps = num_rows, keep
        self.kept_size = 0 if keep else self.kept_size

    def forward(self, values: Tensor) -> Tensor:
        """`values` normalised, (N, C, ...) -> (N, C, ...); rows of the reference, if it leads, by themselves."""
        self._check(values)
        precise, n = values.to(torch.promote_types(values.dtype, torch.float32)), self.reference_rows
        mean, variance = _own_statistics(precise)
        if n == 0:
            mean, variance = _mixed(self.reference_mean, self.reference_variance, self.kept_size, mean, variance)
            return self._normalised(precise, mean, variance).to(values.dtype)
        # The reference's variance over examples and space: the mean of their variances and the variance of their means.
        of_mean = mean[:n].mean(0)
        of_variance = variance[:n].mean(0) + (mean[:n] - of_mean).square().mean(0)
        if self.keeps:
            self.reference_mean, self.reference_variance, self.kept_size = of_mean.detach(), of_variance.detach(), n
        live = _mixed(of_mean, of_variance, n, mean[n:], variance[n:])
        mean, variance = torch.cat([of_mean.expand(n, -1), live[0]]), torch.cat([of_variance.expand(n, -1), live[1]])
        return self._normalised(precise, mean, variance).to(values.dtype)

    def _normalised(self, values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """(v - mean) scale + bias as v scale + (bias - mean scale): one pass over the values."""
        scale = (variance + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        shape = (*scale.shape, *[1] * (values.dim() - 2))
        return torch.addcmul(shift.view(shape), values, scale.view(shape))

    def _check(self, values: Tensor) -> None:
        if values.dim() not in (2, 3, 4) or values.shape[1] != self.num_features:
            wanted = f"(N, C), (N, C, L) or (N, C, H, W) with C = {self.num_features}"
            raise ValueError(f"input must be {wanted}; got {tuple(values.shape)}")
        if self.reference_rows > values.shape[0]:
            raise ValueError(f"the first {self.reference_rows} rows must be the reference; got {tuple(values.shape)}")
        if self.reference_rows == self.kept_size == 0:
            raise RuntimeError("VirtualBatchNorm has no reference batch: put the network into ReferenceBatch(...)")
        if self.keeps and self.kept_size:
            raise RuntimeError("this VirtualBatchNorm ran twice in one pass: use a layer of its own in each place")

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return f"{self.num_features}, eps={self.eps}, affine={self.weight is not None}"


def _own_statistics(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (N, C) of each example over its own space; several times as fast as torch.var_mean here."""
    if values.dim() == 2:
        return values, torch.zeros_like(values)
    mean = values.flatten(2).mean(2)
    return mean, (values.flatten(2) - mean.unsqueeze(2)).square().mean(2)


def _mixed(mean: Tensor, variance: Tensor, size: int, own_mean: Tensor, own_variance: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (N, C) of each example together with a reference (C,) of `size` examples."""
    w, difference = 1 / (size + 1), own_mean - mean
    return mean + w * difference, (1 - w) * variance + w * own_variance + w * (1 - w) * difference.square()


def convert_virtual_batch_norm(network: nn.Module) -> nn.Module:
    """Replace every BatchNorm1d and BatchNorm2d by VirtualBatchNorm, in the manner of `SyncBatchNorm`'s conversion.

    Args:
        network: any module; changed in place. Scales and shifts stay the same parameters, running statistics go.

    Returns:
        The same network, or a new layer where `network` itself is a BatchNorm. Source: paper, section 3.5.

    >>> convert_virtual_batch_norm(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))[1]
    VirtualBatchNorm(4, eps=1e-05, affine=True)
    """
    converted: dict[int, nn.Module] = {}  # a layer used in several places stays one layer
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                parent.register_module(name, converted.setdefault(id(child), _converted(child)))
    return _converted(network) if isinstance(network, (nn.BatchNorm1d, nn.BatchNorm2d)) else network


def _converted(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> VirtualBatchNorm:
    layer = VirtualBatchNorm(norm.num_features, eps=norm.eps, affine=norm.affine).train(norm.training)
    if norm.affine:
        layer.weight, layer.bias = norm.weight, norm.bias
    return layer


class ReferenceBatch(nn.Module):
    """Runs a network with virtual batch normalization together with its reference batch.

    Training: reference and live batch in one pass; gradients flow through the reference statistics. Eval mode: the
    statistics are computed when first needed and again whenever a parameter or buffer of the network has changed, and
    the batch runs in blocks of a fixed number of rows, so that one image alone comes out bit for bit as in a batch.

    Args:
        network: takes (N, ...) and returns (N, ...), with VirtualBatchNorm layers in it, each used once in a pass.
        reference: (n, ...) input of the network, n >= 2, drawn once: latents for a generator. A buffer: saved, moved
            and loaded with the network. On several ranks all take that of rank 0.
        rows_at_once: size of the blocks in eval mode; None runs the batch whole, equal but for rounding.

    Raises:
        ValueError: no VirtualBatchNorm in the network, fewer than two examples or rows_at_once. When called: an input
            that differs from the reference in shape or dtype.

    Shape: (N, ...) -> what the network makes of it, (N, ...).

    Source: paper, section 3.5. A change that PyTorch does not count (through `parameter.data`) needs `refresh()`.

    >>> network = nn.Sequential(nn.Linear(3, 4), VirtualBatchNorm(4))
    >>> generator = ReferenceBatch(network, torch.randn(16, 3)).eval()
    >>> latents = torch.randn(8, 3)
    >>> torch.equal(generator(latents)[:1], generator(latents[:1]))
    True
    """

    reference: Tensor

    def __init__(self, network: nn.Module, reference: Tensor, *, rows_at_once: int | None = 16) -> None:
        super().__init__()
        _leave_the_check_out_of_compiled_graphs()
        if not any(isinstance(layer, VirtualBatchNorm) for layer in network.modules()):
            raise ValueError("the network has no VirtualBatchNorm: apply convert_virtual_batch_norm(network) first")
        if reference.dim() == 0 or len(reference) < 2:
            raise ValueError(f"reference must be (n, ...) with n >= 2 examples; got {tuple(reference.shape)}")
        if rows_at_once is not None and rows_at_once < 2:
            raise ValueError(f"rows_at_once must be at least 2 (one row is rounded differently); got {rows_at_once}")
        self.network, self.rows_at_once = network, rows_at_once
        self.register_buffer("reference", from_main(reference).clone())
        self._kept_for: list[object] = []  # what the kept statistics follow from

    def forward(self, inputs: Tensor) -> Tensor:
        """The network's output for `inputs` (N, ...); the reference's own output is not returned."""
        if inputs.shape[1:] != self.reference.shape[1:] or inputs.dtype != self.reference.dtype:
            raise ValueError(
                f"inputs must be as the reference, (N, {str(tuple(self.reference.shape[1:]))[1:]} of "
                f"{self.reference.dtype}; got {tuple(inputs.shape)} of {inputs.dtype}"
            )
        if self.training:
            return self._run(torch.cat([self.reference, inputs]))[len(self.reference) :]
        self._refresh_if_stale()
        blocks = torch.split(inputs, self.rows_at_once or max(1, len(inputs)))
        padding = [0, 0] * (inputs.dim() - 1) + [0, (self.rows_at_once or 0) - len(blocks[-1])]
        full = (*blocks[:-1], F.pad(blocks[-1], padding)) if self.rows_at_once else blocks
        return torch.cat([self.network(block) for block in full])[: len(inputs)]

    @torch.inference_mode(False)
    @torch.no_grad()
    def refresh(self) -> None:
        """Compute the kept statistics now, with the network's present weights and mode."""
        self._run(self.reference, keep=True)
        self._kept_for = self._state()

    def _refresh_if_stale(self) -> None:
        state = self._state()
        pairs = zip(state, self._kept_for, strict=False)
        if len(state) != len(self._kept_for) or any(a is not b and (isinstance(a, Tensor) or a != b) for a, b in pairs):
            self.refresh()

    def _state(self) -> list[object]:
        """All that the statistics follow from: tensors and how often each was changed in place, and autocast."""
        others = [module for module in self.network.modules() if not isinstance(module, VirtualBatchNorm)]
        buffers = [buffer for module in others for buffer in module.buffers(recurse=False)]
        tensors: list[Tensor] = [self.reference, *self.network.parameters(), *buffers]
        versions: list[object] = [(None if t.is_inference() else t._version, t.dtype, t.device) for t in tensors]
        device = self.reference.device.type
        autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        return [*tensors, *versions, torch.get_autocast_dtype(device) if autocast else None]

    def _run(self, rows: Tensor, *, keep: bool = False) -> Tensor:
        """A pass whose first rows are the reference."""
        layers = [layer for layer in self.network.modules() if isinstance(layer, VirtualBatchNorm)]
        for layer in layers:
            layer.begin_reference(len(self.reference), keep=keep)
        try:
            return self.network(rows)  # type: ignore[no-any-return]
        finally:
            for layer in layers:
                layer.begin_reference(0)


@cache  # and not a decorator, which would import the compiler, two seconds, with this file
def _leave_the_check_out_of_compiled_graphs() -> None:
    ReferenceBatch._refresh_if_stale = torch.compiler.disable(ReferenceBatch._refresh_if_stale)  # type: ignore

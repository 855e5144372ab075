"""Weight normalization with data-dependent initialization (Salimans & Kingma, 2016; used in the paper's section 6).

    w = g v / ||v||         one scale g and one norm for each output unit or channel
    initialization: for one batch, layer by layer, with t = (v . x)/||v|| the pre-activation and s the wanted std of t,
                    g = s / std(t),  b = -mean(t) s / std(t)

so that every pre-activation has mean 0 and standard deviation s; or with one std(t) over all units of a layer, as in
the authors' convolutional scripts of the paper's date (8 to 12 June 2016, docs/history.md). In the released experiments
g is learned in the last layer only. Over several ranks the batch is the global one. A layer of another kind with a
method `init_from_batch_(inputs)`, such as minibatch discrimination, is initialized by it with its input.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from improved_gan.distributed import global_mean
from improved_gan.modes import in_mode

__all__ = ["data_dependent_init_", "weight_norm"]

_Layer = TypeVar("_Layer", bound=nn.Module)


@runtime_checkable
class _DataInitialized(Protocol):
    """A layer that initializes its own parameters from its first input."""

    def init_from_batch_(self, inputs: Tensor) -> None: ...


_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_PLAIN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def weight_norm(layer: _Layer, *, learn_scale: bool = True, scale: float | None = None) -> _Layer:
    """Parametrize the layer's weight as g v/||v||, one g for each output unit or channel.

    Output channels are dimension 1 of a transposed convolution's weight and dimension 0 otherwise (PyTorch's own
    default is 0 for all). v is the layer's current weight.

    Args:
        layer: Linear, Conv*d or ConvTranspose*d (one group); changed in place.
        learn_scale: whether g is trained; in the released experiments only in the last layer.
        scale: initial value of every g; None keeps the layer's current weight.

    Returns:
        The same layer; `layer.parametrizations.weight` holds g (original0) and v (original1).

    Raises:
        TypeError: a layer of another kind.
        ValueError: a transposed convolution with groups, a weight that is parametrized already, scale <= 0, or an
            output unit whose weights are all 0.

    Source: Salimans & Kingma, 2016, equation 2.

    >>> layer = weight_norm(nn.Linear(3, 2), scale=1.0)
    >>> torch.allclose(layer.weight.norm(dim=1), torch.ones(2))
    True
    """
    if not isinstance(layer, _TRANSPOSED + _PLAIN):
        raise TypeError(f"weight_norm takes Linear, Conv*d or ConvTranspose*d; got {type(layer).__name__}")
    if isinstance(layer, _TRANSPOSED) and layer.groups != 1:
        raise ValueError(f"weight_norm takes transposed convolutions of one group; got groups={layer.groups}")
    if parametrize.is_parametrized(layer, "weight"):
        raise ValueError(f"the weight of this {type(layer).__name__} is parametrized already")
    if scale is not None and not scale > 0:
        raise ValueError(f"scale must be positive; got {scale}")
    _check_directions(layer)
    parametrizations.weight_norm(layer, dim=_output_dimension(layer))
    g = _scale(layer)
    g.requires_grad_(learn_scale)
    if scale is not None:
        torch.nn.init.constant_(g, scale)
    return layer


@torch.no_grad()
def data_dependent_init_(
    network: nn.Module, batch: Tensor, *, std: float | Mapping[str, float] = 1.0, per_unit: bool = True
) -> None:
    """Set g and b of every weight-normalized layer from one batch, in the order in which the layers run.

    Layers with a method `init_from_batch_` are initialized by it, from their own input.

    One pass in training mode (noise and dropout on); each layer is initialized before its output enters the next one.
    In a layer without bias only the standard deviation is set. Parts in eval mode inside a network in training mode
    stay in eval mode. Buffers and the mode of each module are restored. Autocast is off.

    Args:
        network: any module with layers from `weight_norm`; changed in place.
        batch: (N, ...) input of the network, N >= 2 over all ranks; 500 images in the released MNIST experiment.
        std: the standard deviation of the pre-activations, one number or one by layer name (others: 1).
        per_unit: whether each unit has that standard deviation, or all units of a layer together.

    Raises:
        ValueError: no such layer, an unknown name in `std`, a layer that did not run, or a pre-activation that does
            not vary over the batch.

    Source: Salimans & Kingma, 2016, section 3, equations 5 and 6.

    >>> network = weight_norm(nn.Linear(3, 2))
    >>> batch = torch.randn(500, 3)
    >>> data_dependent_init_(network, batch)
    >>> network(batch).mean().abs() < 1e-6
    tensor(True)
    """
    layers = {name: layer for name, layer in network.named_modules() if _is_weight_normalized(layer)}
    others: dict[str, Any] = {name: m for name, m in network.named_modules() if isinstance(m, _DataInitialized)}
    if not layers and not others:
        raise ValueError("the network has no weight-normalized layer: apply weight_norm to its layers first")
    wanted = dict.fromkeys(layers, std) if isinstance(std, (int, float)) else {**dict.fromkeys(layers, 1.0), **std}
    if unknown := set(wanted) - set(layers):
        raise ValueError(f"std names {sorted(unknown)}, but the weight-normalized layers are {sorted(layers)}")
    pending = {*layers, *others}
    hooks = [
        layer.register_forward_hook(_init_hook(name, wanted[name], pending, per_unit)) for name, layer in layers.items()
    ]
    hooks += [layer.register_forward_pre_hook(_init_pre_hook(name, pending)) for name, layer in others.items()]
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with torch.autocast(batch.device.type, enabled=False), in_mode(network, training=True):
        try:
            network(batch)
        finally:
            torch.clear_autocast_cache()  # a surrounding autocast has cached casts of the old parameters
            for hook in hooks:
                hook.remove()
            for name, buffer in network.named_buffers():
                buffer.copy_(buffers[name])
    if pending:
        raise ValueError(f"these layers did not run on the batch: {sorted(pending)}")


def _init_pre_hook(name: str, pending: set[str]) -> Callable[[Any, tuple[Any, ...]], None]:
    """A forward pre-hook that initializes the layer from its first input."""

    def initialize(layer: _DataInitialized, inputs: tuple[Any, ...]) -> None:
        if name in pending:
            pending.discard(name)
            layer.init_from_batch_(inputs[0])

    return initialize


def _init_hook(
    name: str, std: float, pending: set[str], per_unit: bool
) -> Callable[[nn.Module, Any, Tensor], Tensor | None]:
    """A forward hook that sets the layer's g and b at its first run and returns the normalized output."""

    def initialize(layer: nn.Module, _: Any, output: Tensor) -> Tensor | None:
        if name not in pending:
            return None
        pending.discard(name)
        channel = output.dim() - 1 if isinstance(layer, nn.Linear) else 1
        mean, current = _global_mean_and_std(output.movedim(channel, -1).flatten(0, -2))
        if not per_unit:
            current = current.square().mean().sqrt().expand_as(current)
        if not bool((current > 0).all() and current.isfinite().all()):
            raise ValueError(
                f"a pre-activation of layer {name!r} does not vary over the batch (or is not finite): "
                f"give a batch of several, different examples; got {tuple(output.shape)}"
            )
        ratio = std / current
        _scale(layer).mul_(_along(ratio, _output_dimension(layer), _scale(layer).dim()))
        shifted = output
        if isinstance(layer.bias, Tensor):
            layer.bias.copy_((layer.bias - mean) * ratio)
            shifted = output - _along(mean, channel, output.dim())
        return shifted * _along(ratio, channel, output.dim())

    return initialize


def _global_mean_and_std(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the rows (N, C) of all ranks, each (C,) in the rows' dtype."""
    mean = global_mean(rows)
    std = global_mean((rows - mean).square()).sqrt()
    return mean.to(rows.dtype), std.to(rows.dtype)


def _along(values: Tensor, dimension: int, num_dimensions: int) -> Tensor:
    """`values` (C,) shaped to broadcast along one dimension."""
    return values.reshape([-1 if d == dimension else 1 for d in range(num_dimensions)])


def _output_dimension(layer: nn.Module) -> int:
    return 1 if isinstance(layer, _TRANSPOSED) else 0


def _check_directions(layer: nn.Module) -> None:
    """v/||v|| of a unit whose weights are all 0 would be NaN."""
    weight = layer.get_parameter("weight").detach()
    others = [axis for axis in range(weight.dim()) if axis != _output_dimension(layer)]
    if not weight.is_meta and (num := int((weight == 0).all(others).sum())):
        raise ValueError(
            f"the weights of {num} output units of this {type(layer).__name__} are all 0, so they have no direction: "
            f"initialize them first, as by torch.nn.init.normal_"
        )


def _is_weight_normalized(layer: nn.Module) -> bool:
    if not (isinstance(layer, _TRANSPOSED + _PLAIN) and parametrize.is_parametrized(layer, "weight")):
        return False
    parametrized: Any = layer.parametrizations
    return any(isinstance(one, parametrizations._WeightNorm) for one in parametrized.weight)


def _scale(layer: nn.Module) -> Tensor:
    """The scales g, of the weight's shape with ones in all but the output dimension."""
    parametrized: Any = layer.parametrizations
    scale: Tensor = parametrized.weight.original0
    return scale

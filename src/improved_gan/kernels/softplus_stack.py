"""The dense generator of the MNIST experiment in one differentiable operation, bfloat16 (paper, section 6.1).

    h_{l+1} = softplus(batchnorm(h_l W_l^T) + b_l),  x = sigmoid(h_L W^T + b),  W = g v/||v|| in the last layer

Batch norm has a shift and no scale. Matrix products take bfloat16 factors; batch norm, softplus and sigmoid are
computed in float32: bfloat16 would round bright pixels to 1, where the sigmoid has no gradient. Differentiable once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from improved_gan.kernels import dense_operations as operations
from improved_gan.kernels.noisy_stack import Layer, NormalisedWeight

__all__ = ["BatchNormLayer", "CastWeights", "cast_weights", "softplus_stack"]

_BATCH_NORM = torch.ops.aten.native_batch_norm.default
_BATCH_NORM_BACKWARD = torch.ops.aten.native_batch_norm_backward.default


class BatchNormLayer(NamedTuple):
    """A dense layer with batch norm, float32; the running statistics are updated in place."""

    weight: Tensor  # (B, A)
    shift: Tensor  # (B,)
    running_mean: Tensor  # (B,)
    running_var: Tensor  # (B,)


class CastWeights(NamedTuple):
    """All weights ready for matrix products, bfloat16."""

    hidden: list[tuple[Tensor, Tensor]]  # each (B, A) and turned (A, B)
    output: NormalisedWeight


@torch.no_grad()
def cast_weights(hidden: Sequence[BatchNormLayer], output: Layer) -> CastWeights:
    """The weights as they are now; may be kept for as long as no parameter changes."""
    return CastWeights(
        [operations.cast(layer.weight) for layer in hidden],
        NormalisedWeight(*operations.normalise(output.v, output.g)),
    )


def softplus_stack(
    latents: Tensor,
    hidden: Sequence[BatchNormLayer],
    output: Layer,
    *,
    eps: float,
    weights: CastWeights | None = None,
) -> Tensor:
    """Pixels in [0, 1] from latents, with the statistics of this batch.

    Args:
        latents: (N, Z).
        hidden: the softplus layers.
        output: the last layer, weight-normalised.
        eps: of the batch norm.
        weights: from `cast_weights`; None computes them.

    Returns:
        (N, A) float32.

    Source: paper, section 6.1, and the released MNIST experiment.
    """
    running = [(layer.running_mean, layer.running_var) for layer in hidden]
    parameters = [tensor for layer in hidden for tensor in (layer.weight, layer.shift)]
    ready = cast_weights(hidden, output) if weights is None else weights
    with torch.autocast(latents.device.type, enabled=False):  # it casts for itself
        result: Tensor = _SoftplusStack.apply(latents, running, eps, ready, *parameters, *output)  # type: ignore[no-untyped-call]
    return result


class _SoftplusStack(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        latents: Tensor,
        running: list[tuple[Tensor, Tensor]],
        eps: float,
        weights: CastWeights,
        *parameters: Tensor,
    ) -> Tensor:
        values, saved = latents.to(torch.bfloat16), []
        for index, statistics in enumerate(running):
            weight, across = weights.hidden[index]
            products = (values @ across).float()
            normal, mean, inverse = _BATCH_NORM(products, None, parameters[2 * index + 1], *statistics, True, 0.1, eps)
            saved += [values, weight, products, normal, mean, inverse]
            values = F.softplus(normal).to(torch.bfloat16)
        v, g, bias = parameters[-3:]
        weight, across, norm = weights.output
        pixels: Tensor = (values @ across).float().add_(bias).sigmoid_()
        ctx.eps, ctx.num_hidden = eps, len(running)
        ctx.save_for_backward(pixels, values, weight, norm, v, g, *saved)
        return pixels

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pixels_grad: Tensor) -> tuple[Any, ...]:
        pixels, values, weight, norm, v, g, *saved = ctx.saved_tensors
        grad = torch.ops.aten.sigmoid_backward(pixels_grad.float(), pixels)
        half = grad.to(torch.bfloat16)
        v_grad, g_grad = operations.through_normalisation(operations.turned(half) @ values, v, g, norm)
        grads: list[Tensor] = [v_grad, g_grad, grad.sum(0)]
        for index in reversed(range(ctx.num_hidden)):
            grad = (half @ weight).float()
            values, weight, products, normal, mean, inverse = saved[6 * index : 6 * index + 6]
            grad = torch.ops.aten.softplus_backward(grad, normal, 1.0, 20.0)
            shift_grad = grad.sum(0)
            wanted = [True, False, False]
            grad = _BATCH_NORM_BACKWARD(grad, products, None, None, None, mean, inverse, True, ctx.eps, wanted)[0]
            half = grad.to(torch.bfloat16)
            grads = [(operations.turned(half) @ values).float(), shift_grad, *grads]
        return (None, None, None, None, *grads)

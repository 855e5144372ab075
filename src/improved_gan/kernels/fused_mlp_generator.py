"""The dense generator of the MNIST experiment in one differentiable operation, bfloat16 (paper, section 6.1).

    h_{l+1} = softplus(batchnorm(h_l W_l^T) + b_l),  x = sigmoid(h_L W^T + b),  W = g v/||v|| in the last layer

Batch norm has a shift and no scale. Matrix products take bfloat16 factors; batch norm, softplus and sigmoid are
computed in float32: bfloat16 would round bright pixels to 1, where the sigmoid has no gradient. A gradient that is
differentiated again (`create_graph`) is computed by PyTorch's operations, in float32.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels import dense_operations as operations
from improved_gan.kernels.fused_mlp_discriminator import Layer, NormalizedWeight
from improved_gan.kernels.recomputation import in_backward

__all__ = ["BatchNormLayer", "CastWeights", "cast_weights", "fused_mlp_generator"]

_MOMENTUM = 0.1  # of the running statistics


class BatchNormLayer(NamedTuple):
    """A dense layer with batch norm, float32; the running statistics are updated in place."""

    weight: Tensor  # (B, A)
    shift: Tensor  # (B,)
    running_mean: Tensor  # (B,)
    running_var: Tensor  # (B,)


class CastWeights(NamedTuple):
    """All weights ready for matrix products, bfloat16."""

    hidden: list[Tensor]  # each (B, A)
    output: NormalizedWeight


@torch.no_grad()
def cast_weights(hidden: Sequence[BatchNormLayer], output: Layer) -> CastWeights:
    """The weights as they are now; valid for as long as no parameter changes."""
    return CastWeights(
        [layer.weight.to(torch.bfloat16) for layer in hidden],
        NormalizedWeight(*operations.weight_norm(output.v, output.g)),
    )


def fused_mlp_generator(
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
        output: the last layer, weight-normalized.
        eps: of the batch norm.
        weights: from `cast_weights`; None computes them now.

    Returns:
        (N, A) float32.

    Source: paper, section 6.1, and the released MNIST experiment.
    """
    running = [(layer.running_mean, layer.running_var) for layer in hidden]
    parameters = [tensor for layer in hidden for tensor in (layer.weight, layer.shift)]
    ready = cast_weights(hidden, output) if weights is None else weights
    with torch.autocast(latents.device.type, enabled=False):  # the kernel casts by itself
        result: Tensor = _FusedMlpGenerator.apply(latents, running, eps, ready, *parameters, *output)  # type: ignore[no-untyped-call]
    return result


class _FusedMlpGenerator(torch.autograd.Function):
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
        # Activation checkpointing repeats this pass within backward: the running statistics have this batch already.
        momentum = 0.0 if in_backward() else _MOMENTUM
        # z = h_l W_l^T (products), h_{l+1} = softplus(batchnorm(z) + b_l) (active), both (N, B) bfloat16.
        for index, (running_mean, running_var) in enumerate(running):
            weight, shift = weights.hidden[index], parameters[2 * index + 1]
            products = F.linear(values, weight)
            active, mean, inverse = operations.batch_norm_softplus(
                products, shift, running_mean, running_var, momentum=momentum, eps=eps
            )
            saved += [values, weight, products, shift, mean, inverse]
            values = active
        bias = parameters[-1]
        weight, norm = weights.output
        pixels = operations.bias_sigmoid(F.linear(values, weight), bias)
        ctx.num_hidden, ctx.dtype, ctx.eps = len(running), latents.dtype, eps
        given = latents if ctx.needs_input_grad[0] else latents.clone()  # the caller may overwrite them
        ctx.save_for_backward(given, *parameters, pixels, values, weight, norm, *saved)
        return pixels

    @staticmethod
    def backward(ctx: Any, pixels_grad: Tensor) -> tuple[Any, ...]:
        if torch.is_grad_enabled():  # create_graph, perhaps called under autocast
            with torch.autocast("cpu", enabled=False):
                return _differentiable_backward(ctx, pixels_grad)
        v, g, _, pixels, values, weight, norm, *saved = ctx.saved_tensors[1 + 2 * ctx.num_hidden :]
        # x = sigmoid(h_L W^T + b): gradients of the last layer's v, g and bias.
        grad, transposed, bias_grad = operations.sigmoid_backward(pixels_grad.float(), pixels)
        v_grad, g_grad = operations.weight_norm_backward(transposed @ values, v, g, norm)
        grads: list[Tensor] = [v_grad, g_grad, bias_grad]
        # grad is dL/dz of the layer above and weight its W: dL/dh = grad W, then dz of this layer and dW_l = dz^T h_l.
        for index in reversed(range(ctx.num_hidden)):
            values, next_weight, products, shift, mean, inverse = saved[6 * index : 6 * index + 6]
            grad, transposed, shift_grad = operations.batch_norm_softplus_backward(
                grad @ weight, products, shift, mean, inverse
            )
            weight = next_weight
            grads = [(transposed @ values).float(), shift_grad, *grads]
        latents_grad = (grad @ weight).to(ctx.dtype) if ctx.needs_input_grad[0] else None
        return (latents_grad, None, None, None, *grads)


def _differentiable_backward(ctx: Any, pixels_grad: Tensor) -> tuple[Any, ...]:
    """The gradients by PyTorch's operations, from the latents and the parameters."""
    given = ctx.saved_tensors[: 1 + 2 * ctx.num_hidden + 3]
    values, (*hidden, v, g, bias) = given[0].float(), given[1:]
    for weight, shift in zip(hidden[::2], hidden[1::2], strict=True):
        products = F.linear(values, weight)
        values = F.softplus(F.batch_norm(products, None, None, None, shift, training=True, eps=ctx.eps))
    weight = v * (g / torch.linalg.vector_norm(v, dim=1, keepdim=True))
    pixels = torch.sigmoid(F.linear(values, weight, bias))
    needed = [index for index, one in enumerate((ctx.needs_input_grad[0], *ctx.needs_input_grad[4:])) if one]
    grads = torch.autograd.grad(pixels, [given[index] for index in needed], pixels_grad, create_graph=True)
    latents_grad, *parameter_grads = (dict(zip(needed, grads, strict=True)).get(index) for index in range(len(given)))
    return (latents_grad, None, None, None, *parameter_grads)

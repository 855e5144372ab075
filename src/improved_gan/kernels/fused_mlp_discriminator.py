"""The dense discriminator of the MNIST experiment in one differentiable operation, bfloat16 (paper, section 6.1).

    u_0 = x + s_0 e,  h_l = relu(u_l W_l^T + b_l),  u_{l+1} = h_l + s_{l+1} e,  logits = u_L W_L^T + b_L,  W = g v/||v||

with independent e ~ N(0, 1) everywhere. Forward and backward are written out by hand, so that nearly all of a step's
time goes to matrix products (docs/performance.md). The last, small layer is computed in float32. A gradient that is
differentiated again (`create_graph`, as for a gradient penalty) is computed by PyTorch's operations, in float32 and
with the noise of the forward pass.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels import dense_operations as operations
from improved_gan.kernels.noise import draw_slices

__all__ = ["Layer", "NormalizedWeight", "fused_mlp_discriminator", "normalized_weights"]


class Layer(NamedTuple):
    """A weight-normalized dense layer, float32."""

    v: Tensor  # (B, A) direction
    g: Tensor  # (B, 1) scale
    bias: Tensor  # (B,)


class NormalizedWeight(NamedTuple):
    """The weight g v/||v|| ready for matrix products, bfloat16."""

    weight: Tensor  # (B, A)
    norm: Tensor  # (B,) ||v||, float32


@torch.no_grad()
def normalized_weights(layers: Sequence[Layer]) -> list[NormalizedWeight]:
    """The weights of the hidden layers as they are now; valid for as long as no parameter changes."""
    return [NormalizedWeight(*operations.weight_norm(layer.v, layer.g)) for layer in layers[:-1]]


def fused_mlp_discriminator(
    values: Tensor,
    layers: Sequence[Layer],
    noises: Sequence[float],
    weights: Sequence[NormalizedWeight] | None = None,
    num_constant: int = 0,
) -> tuple[Tensor, Tensor]:
    """Logits and last hidden layer of a batch, with noise.

    Args:
        values: (N, A) the input, any float dtype.
        layers: the hidden layers and the output layer.
        noises: standard deviation of the noise before each layer.
        weights: the hidden layers' weights, from `normalized_weights`; None computes them.
        num_constant: the results of this many rows, the first ones, are constants: they give no gradient.

    Returns:
        (N, K) logits in float32 and (N, B) features in bfloat16, before their noise.

    Source: paper, section 6.1, and the released MNIST experiment.
    """
    ready = normalized_weights(layers) if weights is None else weights
    parameters = [tensor for layer in layers for tensor in layer]
    with torch.autocast(values.device.type, enabled=False):  # the kernel casts by itself
        result: tuple[Tensor, Tensor] = _FusedMlpDiscriminator.apply(
            values, list(noises), list(ready), num_constant, *parameters
        )  # type: ignore[no-untyped-call]
    return result


class _FusedMlpDiscriminator(torch.autograd.Function):
    # Shapes: N rows, A_l inputs of layer l. `hidden` are h_0 ... h_{L-1}, `inputs` the noisy u_0 ... u_{L-1}, and
    # u_L = last_input. Only these are kept: the ReLU's mask is h > 0, and noise is additive, so dL/dh = dL/du.
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        noises: list[float],
        weights: list[NormalizedWeight],
        num_constant: int,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        layers = [Layer(*parameters[i : i + 3]) for i in range(0, len(parameters), 3)]
        sizes = [len(values) * layer.v.shape[1] for layer in layers]
        slices = draw_slices(sizes, torch.bfloat16, values.device)
        hidden, inputs = [], [operations.add_noise(values.to(torch.bfloat16).contiguous(), slices[0], noises[0])]
        # h_l = relu(u_l W_l^T + b_l) and u_{l+1} = h_l + s_{l+1} e, in one pass over memory after the product.
        for layer, ready, noise, std in zip(layers, weights, slices[1:], noises[1:], strict=False):
            active, noisy = operations.bias_relu_noise(F.linear(inputs[-1], ready.weight), layer.bias, noise, std)
            hidden.append(active)
            inputs.append(noisy)
        last_input = inputs.pop().float()
        last_weight, _ = _output_weight(layers[-1])
        ctx.set_materialize_grads(False)  # the gradient of an unused output stays None: its products are skipped
        ctx.dtype, ctx.num_hidden, ctx.weights, ctx.num_constant = values.dtype, len(hidden), weights, num_constant
        given = values if ctx.needs_input_grad[0] else inputs[0]  # the caller may overwrite a batch without gradient
        ctx.save_for_backward(*hidden, *inputs, last_input, given, *parameters)
        return torch.addmm(layers[-1].bias, last_input, last_weight.t()), hidden[-1]

    @staticmethod
    def backward(ctx: Any, logits_grad: Tensor | None, features_grad: Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():  # create_graph, perhaps called under autocast
            with torch.autocast("cpu", enabled=False):
                return _differentiable_backward(ctx, logits_grad, features_grad)
        count, first = ctx.num_hidden, ctx.num_constant
        saved = ctx.saved_tensors
        *activations, last_input = (rows[first:] for rows in saved[: 2 * count + 1])
        hidden, inputs, parameters = activations[:count], activations[count:], saved[2 * count + 2 :]
        layers = [Layer(*parameters[i : i + 3]) for i in range(0, len(parameters), 3)]
        needs_parameters = any(ctx.needs_input_grad[4:])  # False in the generator's update: D's weights are frozen
        grads: list[Tensor | None] = [None] * len(parameters)
        grad = None if features_grad is None else features_grad[first:].clone()
        # logits = u_L W_L^T + b_L: dL/dh_{L-1} = dL/dlogits W_L, added to what feature matching asks of h_{L-1}.
        if logits_grad is not None:
            logits_grad = logits_grad[first:]
            weight, norm = _output_weight(layers[-1])
            to_features = (logits_grad @ weight).to(torch.bfloat16)
            grad = to_features if grad is None else grad.add_(to_features)
            if needs_parameters:
                grads[-3:] = _output_grads(logits_grad, last_input, layers[-1], norm)
        # From dL/dh_l: dz = dL/dh_l [h_l > 0], dW_l = dz^T u_l, db_l = sum dz, and dL/dh_{l-1} = dz W_l (l = 0: dL/dx).
        for index in reversed(range(count)):
            if grad is None:
                break
            if needs_parameters:
                grad, transposed, bias_grad = operations.relu_backward_transposed(grad.contiguous(), hidden[index])
                v, g, _ = layers[index]
                norm = ctx.weights[index].norm
                v_grad, g_grad = operations.weight_norm_backward(transposed @ inputs[index], v, g, norm)
                grads[3 * index : 3 * index + 3] = v_grad, g_grad, bias_grad
            else:
                grad = operations.relu_backward(grad.contiguous(), hidden[index])
            grad = grad @ ctx.weights[index].weight if index or ctx.needs_input_grad[0] else None
        if grad is not None:
            grad = F.pad(grad.to(ctx.dtype), (0, 0, first, 0))  # zeros for the constant rows
        return (grad, None, None, None, *grads)


def _differentiable_backward(ctx: Any, logits_grad: Tensor | None, features_grad: Tensor | None) -> tuple[Any, ...]:
    """The gradients by PyTorch's operations, from the input and the parameters, with the noise of the forward pass."""
    count, first, saved = ctx.num_hidden, ctx.num_constant, ctx.saved_tensors
    given = values, *parameters = saved[2 * count + 1 :]
    noisy, plain = saved[count : 2 * count + 1], (values, *saved[:count])  # u_l and h_{l-1}
    features = active = values[first:].float()
    for index in range(count + 1):
        noise = (noisy[index].float() - plain[index].float()).detach()[first:]
        v, g, bias = parameters[3 * index : 3 * index + 3]
        features, weight = active, v * (g / torch.linalg.vector_norm(v, dim=1, keepdim=True))
        products = F.linear(features + noise, weight, bias)
        active = F.relu(products) if index < count else products  # at the end the logits
    pairs = [(active, logits_grad), (features, features_grad)]
    pairs = [(one, grad[first:].to(one.dtype)) for one, grad in pairs if grad is not None and one.requires_grad]
    needed = [index for index, one in enumerate((ctx.needs_input_grad[0], *ctx.needs_input_grad[4:])) if one]
    if not pairs:
        return (None,) * (4 + len(parameters))
    grads = torch.autograd.grad(
        [result for result, _ in pairs],
        [given[index] for index in needed],
        [grad for _, grad in pairs],
        create_graph=True,
        allow_unused=True,
    )
    values_grad, *parameter_grads = (dict(zip(needed, grads, strict=True)).get(index) for index in range(len(given)))
    return (values_grad, None, None, None, *parameter_grads)


def _output_weight(layer: Layer) -> tuple[Tensor, Tensor]:
    """The last layer's weight g v/||v|| (K, A) and ||v|| (K, 1), float32."""
    norm = torch.linalg.vector_norm(layer.v, dim=1, keepdim=True)
    return layer.v * (layer.g / norm), norm


def _output_grads(logits_grad: Tensor, inputs: Tensor, layer: Layer, norm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of v, g and bias of the last layer, through w = g v/||v|| as in `weight_norm_backward`."""
    weight_grad, direction = logits_grad.t() @ inputs, layer.v / norm
    g_grad = (weight_grad * direction).sum(1, keepdim=True)
    return (weight_grad - direction * g_grad) * (layer.g / norm), g_grad, logits_grad.sum(0)

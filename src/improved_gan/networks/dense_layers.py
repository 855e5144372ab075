"""Layers of the dense MNIST networks, and their parameters as arguments of the fused kernels (`kernels`)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.kernels import dense_operations
from improved_gan.kernels.fused_mlp_discriminator import Layer
from improved_gan.kernels.fused_mlp_generator import BatchNormLayer
from improved_gan.kernels.vmap_fallback import uses_reference_ops
from improved_gan.networks.global_batch_norm import batch_norm
from improved_gan.techniques import weight_norm

__all__ = [
    "BATCH_NORM_EPSILON",
    "SoftplusBlock",
    "batch_norm_layer_of",
    "layer_of",
    "uses_fused_kernel",
    "weight_normed",
]

BATCH_NORM_EPSILON = 1e-6  # as released


class SoftplusBlock(nn.Module):
    """Dense layer, batch norm with a shift but no scale (epsilon 1e-6 as released), softplus: (N, A) -> (N, B)."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(out_features, in_features)))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.register_buffer("running_mean", torch.zeros(out_features))
        self.register_buffer("running_var", torch.ones(out_features))

    def forward(self, values: Tensor) -> Tensor:
        """With the batch's statistics in training, the running ones in evaluation."""
        values = F.linear(values, self.weight)
        values = batch_norm(
            values, self.running_mean, self.running_var, None, self.bias, self.training, 0.1, BATCH_NORM_EPSILON
        )
        return F.softplus(values)


def uses_fused_kernel(values: Tensor, output: nn.Linear) -> bool:
    """Whether the fused kernel can run: autocast to bfloat16 on a CPU with a compiler, float32 parameters."""
    kind = values.device.type
    wanted = kind == "cpu" and torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.bfloat16
    return wanted and output.bias.dtype == torch.float32 and dense_operations.available() and not uses_reference_ops()


def batch_norm_layer_of(block: Any) -> BatchNormLayer:
    """The parameters and running statistics of a `SoftplusBlock`."""
    return BatchNormLayer(block.weight, block.bias, block.running_mean, block.running_var)


def layer_of(linear: Any) -> Layer:
    """The parameters of a layer that went through `weight_norm`; `get_parameter` is eight times as slow."""
    weight = linear.parametrizations.weight
    return Layer(weight.original1, weight.original0, linear.bias)


def weight_normed(layer: nn.Linear, *, learn_scale: bool) -> nn.Linear:
    """Weight norm initialized as released: v ~ N(0, 0.1^2), g = 1, b = 0, until `init_from_data_` sets g and b."""
    nn.init.normal_(layer.weight, std=0.1)
    nn.init.zeros_(layer.bias)
    return weight_norm(layer, learn_scale=learn_scale, scale=1.0)

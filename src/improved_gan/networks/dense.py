"""The fully connected pair of the MNIST experiment (paper, section 6.1; settings of the released script).

D: x - 1000 - 500 - 250 - 250 - 250 - K, ReLU, weight norm (scale learned in the last layer only), Gaussian noise of
standard deviation 0.3 on the input and 0.5 before each further layer; f(x) is the last hidden layer before its noise.
G: z uniform in [0, 1]^100 - 500 - 500 - x, softplus, batch norm without scale, sigmoid output with weight norm.

The parameters of all layers are the arguments of the fused kernels (`kernels`).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _WeightNorm
from torch.nn.utils.parametrize import type_before_parametrizations

from improved_gan.distributed import world_size
from improved_gan.kernels import dense_operations
from improved_gan.kernels.fused_mlp_discriminator import (
    Layer,
    NormalizedWeight,
    fused_mlp_discriminator,
    normalized_weights,
)
from improved_gan.kernels.fused_mlp_generator import BatchNormLayer, CastWeights, cast_weights, fused_mlp_generator
from improved_gan.kernels.random_source import source as random_source
from improved_gan.kernels.vmap_fallback import uses_reference_ops
from improved_gan.networks.global_batch_norm import batch_norm
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput, Generator
from improved_gan.techniques.gaussian_noise import GaussianNoise
from improved_gan.techniques.weight_norm import weight_norm

__all__ = [
    "BATCH_NORM_EPSILON",
    "DenseDiscriminator",
    "DenseGenerator",
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


def uses_fused_kernel(values: Tensor, layers: Iterable[nn.Module]) -> bool:
    """Whether the fused kernel can run: autocast to bfloat16 on a CPU with a compiler, layers that it can compute."""
    kind = values.device.type
    wanted = kind == "cpu" and torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.bfloat16
    available = wanted and dense_operations.available() and not uses_reference_ops()
    return available and all(_is_weight_normed_linear(one) for one in layers)


def _is_weight_normed_linear(layer: nn.Module) -> bool:
    """Whether `layer_of` is all of the layer: `nn.Linear` itself, float32, weight norm its only parametrization."""
    kinds, bias = layer._modules.get("parametrizations"), layer._parameters.get("bias")
    weight = None if kinds is None or len(kinds._modules) != 1 else kinds._modules.get("weight")
    if weight is None or bias is None or bias.dtype != torch.float32 or "forward" in vars(layer):
        return False
    norms = list(weight._modules.values())
    ours = len(norms) == 1 and type(norms[0]) is _WeightNorm and norms[0].dim == 0
    return ours and type_before_parametrizations(layer) is nn.Linear


def _only_called(modules: Iterable[nn.Module]) -> bool:
    """Whether calling these modules runs their training pass alone: none is frozen (in eval mode) or has hooks."""
    return all(
        one.training
        and not (one._forward_hooks or one._forward_pre_hooks or one._backward_hooks or one._backward_pre_hooks)
        for one in modules
    )


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


_EMPTY_CACHE: dict[str, Any] = {"_caches_weights": False, "_cached_weights": None}  # of a copied or unpickled network


class DenseDiscriminator(Discriminator):
    """The classifier with K class logits; "generated" is class K+1 with logit 0.

    Args:
        image_shape: (C, H, W) of an image.
        num_classes: K.
        hidden: widths of the hidden layers.
        input_noise: standard deviation of the noise on the input, in units of the pixel range [0, 1].
        hidden_noise: standard deviation of the noise before each further layer.

    Shape: (N, C, H, W) -> logits (N, K), features (N, hidden[-1]).

    >>> output = DenseDiscriminator((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28))
    >>> output.logits.shape, output.features.shape
    (torch.Size([2, 10]), torch.Size([2, 250]))
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        *,
        hidden: Sequence[int] = (1000, 500, 250, 250, 250),
        input_noise: float = 0.3,
        hidden_noise: float = 0.5,
    ) -> None:
        super().__init__()
        widths = (math.prod(image_shape), *hidden)
        noises = (input_noise, *[hidden_noise] * len(hidden))
        self.noises = nn.ModuleList(GaussianNoise(std) for std in noises)
        self.hidden = nn.ModuleList(
            weight_normed(nn.Linear(before, after), learn_scale=False) for before, after in pairwise(widths)
        )
        self.output = weight_normed(nn.Linear(widths[-1], num_classes), learn_scale=True)
        self._caches_weights = self._caches_across_steps = False
        self._cached_weights: list[NormalizedWeight] | None = None
        self.register_load_state_dict_post_hook(_invalidate_weight_cache)  # type: ignore[no-untyped-call]

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        """Logits and features, by the fused kernel where it can run."""
        values = images.flatten(1)
        if self._uses_fused_kernel(values):
            return self._fused_forward(values)
        layers = self.hidden_layers(images)
        values = layers[-1] if layers else values
        return DiscriminatorOutput(self.output(self.noises[-1](values)), values)

    def hidden_layers(self, images: Tensor) -> list[Tensor]:
        """The activations (N, A) of each hidden layer, the first layer first; the last is f(x)."""
        values, layers = images.flatten(1), []
        for noise, layer in zip(self.noises[:-1], self.hidden, strict=True):
            values = F.relu(layer(noise(values)))
            layers.append(values)
        return layers

    def forward_real_and_generated(
        self, constants: Tensor, make_images: Callable[[], Tensor]
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """Outputs for constant images, without gradient, and for `make_images()`: in one pass of the fused kernel."""
        if not (self._has_plain_forward() and self._uses_fused_kernel(constants)):
            return super().forward_real_and_generated(constants, make_images)
        num = len(constants)
        logits, features = self._fused_forward(torch.cat([constants, make_images()]).flatten(1), num_constant=num)
        return DiscriminatorOutput(logits[:num].detach(), features[:num].detach()), DiscriminatorOutput(
            logits[num:], features[num:]
        )

    @contextmanager
    def cache_weights(self) -> Iterator[None]:
        """While entered no parameter may change: each normalized weight is computed once."""
        with super().cache_weights():
            self._caches_weights = True
            try:
                yield
            finally:
                self._caches_weights = False
                if not self._caches_across_steps:
                    self.invalidate_weight_cache()

    @contextmanager
    def cache_weights_across_steps(self) -> Iterator[None]:
        """While entered normalized weights are cached from the generator's update into the next step."""
        self._caches_across_steps = True
        try:
            yield
        finally:
            self._caches_across_steps = False
            self.invalidate_weight_cache()

    def invalidate_weight_cache(self) -> None:
        """The parameters have changed."""
        self._cached_weights = None

    def _uses_fused_kernel(self, values: Tensor) -> bool:
        own = type(self).hidden_layers is DenseDiscriminator.hidden_layers and len(self.hidden) > 0
        if not (self.training and own and uses_fused_kernel(values, (*self.hidden, self.output))):
            return False
        noisy = all(type(one) is GaussianNoise for one in self.noises)
        return noisy and _only_called((*self.noises, *self.hidden, self.output))

    def _has_plain_forward(self) -> bool:
        """Whether calling the network runs this class's `forward` alone: no override, no hooks."""
        own = type(self).forward is DenseDiscriminator.forward and "forward" not in vars(self)
        hooks = self._forward_hooks, self._forward_pre_hooks, self._backward_hooks, self._backward_pre_hooks
        return own and not any(hooks)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.invalidate_weight_cache()  # to another device or dtype
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return state | _EMPTY_CACHE | {"_caches_across_steps": False}

    def _fused_forward(self, values: Tensor, *, num_constant: int = 0) -> DiscriminatorOutput:
        layers = [layer_of(linear) for linear in (*self.hidden, self.output)]
        stds: list[float] = [noise.std for noise in self.noises]  # type: ignore[misc]
        return DiscriminatorOutput(*fused_mlp_discriminator(values, layers, stds, self._weights(layers), num_constant))

    def _weights(self, layers: list[Layer]) -> list[NormalizedWeight]:
        """For the fused kernel; optimizers do not reliably mark what they change, so cached only on request."""
        weights = self._cached_weights or normalized_weights(layers)
        if self._caches_weights:
            self._cached_weights = weights
        return weights


class DenseGenerator(Generator):
    """Images with pixels in [0, 1] from latents uniform in [0, 1].

    Args:
        image_shape: (C, H, W) of an image.
        latent_size: Z.
        hidden: widths of the hidden layers.

    Shape: (N, Z) -> (N, C, H, W).

    >>> generator = DenseGenerator((1, 28, 28))
    >>> generator(generator.draw_latents(2)).shape
    torch.Size([2, 1, 28, 28])
    """

    def __init__(
        self, image_shape: Sequence[int], *, latent_size: int = 100, hidden: Sequence[int] = (500, 500)
    ) -> None:
        super().__init__()
        self.image_shape, self.latent_size = tuple(image_shape), latent_size
        widths = (latent_size, *hidden)
        self.hidden = nn.ModuleList(SoftplusBlock(before, after) for before, after in pairwise(widths))
        output = nn.Linear(widths[-1], math.prod(image_shape))
        nn.init.xavier_uniform_(output.weight)
        nn.init.zeros_(output.bias)
        self.output = weight_norm(output, scale=1.0)
        self._caches_weights = False
        self._cached_weights: CastWeights | None = None

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        """(num, Z) uniform in [0, 1], on the generator's device."""
        device = self.output.bias.device
        if source is not None:  # an explicit source is on the CPU, so that every device draws the same latents
            return torch.rand(num, self.latent_size, generator=source).to(device)
        return torch.rand(num, self.latent_size, generator=random_source(device), device=device)

    def forward(self, latents: Tensor) -> Tensor:
        """One image per latent vector, by the fused kernel where it can run."""
        values = latents
        if self._uses_fused_kernel(values):
            hidden, output = [batch_norm_layer_of(block) for block in self.hidden], layer_of(self.output)
            weights = self._cached_weights or cast_weights(hidden, output)
            if self._caches_weights:
                self._cached_weights = weights
            pixels = fused_mlp_generator(values, hidden, output, eps=BATCH_NORM_EPSILON, weights=weights)
            return pixels.reshape(-1, *self.image_shape)
        for block in self.hidden:
            values = block(values)
        # In float32 even under autocast: bfloat16 would round bright pixels to 1, where the sigmoid has no gradient.
        logits = self.output(values)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return torch.sigmoid(logits).reshape(-1, *self.image_shape)

    def _uses_fused_kernel(self, values: Tensor) -> bool:
        # Over several ranks batch norm needs the statistics of all rows, which the kernel does not have.
        if not (self.training and world_size() == 1 and uses_fused_kernel(values, [self.output])):
            return False
        return all(type(one) is SoftplusBlock for one in self.hidden) and _only_called((*self.hidden, self.output))

    @contextmanager
    def cache_weights(self) -> Iterator[None]:
        """While entered no parameter may change: the fused kernel casts each weight once."""
        self._caches_weights = True
        try:
            yield
        finally:
            self._caches_weights, self._cached_weights = False, None

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return state | _EMPTY_CACHE


def _invalidate_weight_cache(discriminator: Any, _: Any) -> None:
    discriminator.invalidate_weight_cache()

"""The fully connected pair of the MNIST experiment (paper, section 6.1; settings of the released script).

D: x - 1000 - 500 - 250 - 250 - 250 - K, ReLU, weight norm (scale learnt in the last layer only), Gaussian noise of
deviation 0.3 on the input and 0.5 before each further layer; f(x) is the last hidden layer before its noise.
G: z uniform in [0, 1]^100 - 500 - 500 - x, softplus, batch norm without scale, sigmoid output with weight norm.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.models.interface import Discriminator, Generator, Judgement
from improved_gan.techniques import GaussianNoise, weight_norm

__all__ = ["DenseDiscriminator", "DenseGenerator"]


class DenseDiscriminator(Discriminator):
    """The classifier with K class logits; "generated" is class K+1 with logit 0.

    Args:
        image_shape: (C, H, W) of an image.
        num_classes: K.
        hidden: widths of the hidden layers.
        input_noise: deviation of the noise on the input, in units of the pixel range [0, 1].
        hidden_noise: deviation of the noise before each further layer.

    Shape: (N, C, H, W) -> logits (N, K), features (N, hidden[-1]).

    >>> judgement = DenseDiscriminator((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28))
    >>> judgement.logits.shape, judgement.features.shape
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
            _normalised(nn.Linear(before, after), learn_scale=False) for before, after in pairwise(widths)
        )
        self.output = _normalised(nn.Linear(widths[-1], num_classes), learn_scale=True)

    def forward(self, images: Tensor) -> Judgement:
        """Judge the images."""
        values = images.flatten(1)
        for noise, layer in zip(self.noises[:-1], self.hidden, strict=True):
            values = F.relu(layer(noise(values)))
        return Judgement(self.output(self.noises[-1](values)), values)


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
        self.hidden = nn.ModuleList(_SoftplusBlock(before, after) for before, after in pairwise(widths))
        output = nn.Linear(widths[-1], math.prod(image_shape))
        nn.init.xavier_uniform_(output.weight)
        nn.init.zeros_(output.bias)
        self.output = weight_norm(output, scale=1.0)

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        """(num, Z) uniform in [0, 1], on the generator's device."""
        device = self.output.bias.device
        if source is not None:  # a source of its own lives on the CPU, so that every device draws the same latents
            return torch.rand(num, self.latent_size, generator=source).to(device)
        return torch.rand(num, self.latent_size, device=device)

    def forward(self, latents: Tensor) -> Tensor:
        """Make one image a latent vector."""
        values = latents
        for block in self.hidden:
            values = block(values)
        # In float32 even under autocast: bfloat16 would round bright pixels to 1, where the sigmoid has no gradient.
        logits = self.output(values)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return torch.sigmoid(logits).reshape(-1, *self.image_shape)


class _SoftplusBlock(nn.Module):
    """Dense layer, batch norm with a shift but no scale (epsilon 1e-6 as released), softplus."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(out_features, in_features)))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.register_buffer("running_mean", torch.zeros(out_features))
        self.register_buffer("running_var", torch.ones(out_features))

    def forward(self, values: Tensor) -> Tensor:
        values = F.linear(values, self.weight)
        values = F.batch_norm(
            values, self.running_mean, self.running_var, None, self.bias, self.training, momentum=0.1, eps=1e-6
        )
        return F.softplus(values)


def _normalised(layer: nn.Linear, *, learn_scale: bool) -> nn.Linear:
    """The released start: v ~ N(0, 0.1^2), g = 1, b = 0, before the data-dependent start sets g and b."""
    nn.init.normal_(layer.weight, std=0.1)
    nn.init.zeros_(layer.bias)
    return weight_norm(layer, learn_scale=learn_scale, scale=1.0)

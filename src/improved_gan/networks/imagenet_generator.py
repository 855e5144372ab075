"""The ImageNet generator (paper, section 6.4; released experiment): latents enter at every scale.

G: z uniform in [-1, 1]^8192 - dense to 8g x 4 x 4 - 5x5 transposed convolutions of stride 2 up to 128x128. At every
scale channels of fresh noise are concatenated to the map; virtual batch normalization and ReLU before each convolution.
The last one is initialized with weights ~ N(0, 0.075^2) and bias -0.45; tanh. Images are in [0, 1].

Left open by the paper, chosen here: the widths 8g, 4g, 2g, 2g, g (without the second 2g at 64x64), and 16 noise
channels at each scale. All latents of an image are one vector: first z, then the noise of each scale; so one vector
determines one image.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.kernels.random_source import source as random_source
from improved_gan.networks.convolutional_generator import from_tanh, smallest, upsampling
from improved_gan.networks.interface import Generator

__all__ = ["ImageNetGenerator"]

_LAST_STD, _LAST_BIAS = 0.075, -0.45


class ImageNetGenerator(Generator):
    """Images with pixels in [0, 1] from latents uniform in [-1, 1]; wrap it in `ReferenceGenerator` for VBN.

    Args:
        image_shape: (C, H, W) of an image; H and W divisible by 2 for each factor.
        latent_size: of z, which enters the first layer.
        width: g.
        factors: channels at each scale in units of g, from the smallest; (8, 4, 2, 1) makes 64x64.
        noise_channels: channels of noise that enter at each scale.

    Raises:
        ValueError: an image size that is no multiple of 2^len(factors).

    Shape: (N, Z) -> (N, C, H, W); Z is latent_size and noise_channels times the pixels of all scales.

    >>> generator = ImageNetGenerator((3, 64, 64), latent_size=32, width=2, factors=(8, 4, 2, 1), noise_channels=1)
    >>> latents = generator.draw_latents(2)
    >>> latents.shape, generator(latents).shape
    (torch.Size([2, 1392]), torch.Size([2, 3, 64, 64]))
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        latent_size: int = 8192,
        width: int = 64,
        factors: Sequence[int] = (8, 4, 2, 2, 1),
        noise_channels: int = 16,
    ) -> None:
        super().__init__()
        widths = [factor * width for factor in factors]
        height, breadth = smallest(image_shape, len(factors))
        self.first = (widths[0], height, breadth)
        shapes = [(noise_channels, height * 2**scale, breadth * 2**scale) for scale in range(len(factors))]
        self.noise_shapes, self.latent_size = shapes, latent_size
        self.num_latents = latent_size + sum(c * h * w for c, h, w in shapes)
        self.dense = nn.Linear(latent_size, widths[0] * height * breadth, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(one) for one in widths)
        self.upsamplings = nn.ModuleList(
            upsampling(before + noise_channels, after, bias=False) for before, after in pairwise(widths)
        )
        self.output = upsampling(widths[-1] + noise_channels, image_shape[0], bias=True, std=_LAST_STD)
        nn.init.normal_(self.dense.weight, std=latent_size**-0.5)
        assert self.output.bias is not None
        nn.init.constant_(self.output.bias, _LAST_BIAS)

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        """(num, Z) uniform in [-1, 1], on the generator's device."""
        device = self.dense.weight.device
        if source is not None:  # an explicit source is on the CPU, so that every device draws the same latents
            return (2 * torch.rand(num, self.num_latents, generator=source) - 1).to(device)
        return 2 * torch.rand(num, self.num_latents, generator=random_source(device), device=device) - 1

    def forward(self, latents: Tensor) -> Tensor:
        """One image per latent vector."""
        sizes = [c * h * w for c, h, w in self.noise_shapes]
        z, *noises = torch.split(latents, [self.latent_size, *sizes], dim=1)
        values = self.dense(z).reshape(-1, *self.first)
        layers = (*self.upsamplings, self.output)
        for norm, noise, shape, layer in zip(self.norms, noises, self.noise_shapes, layers, strict=True):
            values = layer(torch.cat([F.relu(norm(values)), noise.reshape(-1, *shape)], dim=1))
        return from_tanh(values)

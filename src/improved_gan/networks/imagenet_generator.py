"""The ImageNet generator (paper, section 6.4; released network): latents enter at every scale.

G: z uniform in [-1, 1]^8192 - dense to 8g x 4 x 4 - five 5x5 transposed convolutions of stride 2 to 4g x 8 x 8, 2g x 16
x 16, g x 32 x 32, g x 64 x 64 and g x 128 x 128 - one of stride 1 to the image; g = 64. At every scale virtual batch
normalization and ReLU, then channels of fresh noise are concatenated: g, g, g/2, g/4, g/8 and g/8 of them. Weights are
initialized with standard deviation 0.02, in the last layer 0.075 with bias -0.45, scales of batch norm from
N(1, 0.02^2); tanh. Images are in [0, 1].

All latents of an image are one vector: first z, then the noise of each scale; so one vector determines one image.
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

_STD, _LAST_STD, _LAST_BIAS = 0.02, 0.075, -0.45
_NOISE_SHARES = (1, 1, 2, 4, 8, 8)  # g divided by these channels of noise at each scale


class ImageNetGenerator(Generator):
    """Images with pixels in [0, 1] from latents uniform in [-1, 1]; wrap it in `ReferenceGenerator` for VBN.

    Args:
        image_shape: (C, H, W) of an image; H and W divisible by 2 for each factor but the first.
        latent_size: of z, which enters the first layer.
        width: g.
        factors: channels at each scale in units of g, from the smallest; (8, 4, 2, 1, 1) makes 64x64 of 4x4.
        noise_channels: channels of noise that enter at each scale; None as released, at least one.

    Raises:
        ValueError: an image size that is no multiple of 2^(len(factors) - 1), or more than six factors without
            `noise_channels`.

    Shape: (N, Z) -> (N, C, H, W); Z is latent_size and the noise of all scales.

    >>> generator = ImageNetGenerator((3, 64, 64), latent_size=32, width=2, factors=(8, 4, 2, 1, 1), noise_channels=1)
    >>> latents = generator.draw_latents(2)
    >>> latents.shape, generator(latents).shape
    (torch.Size([2, 5488]), torch.Size([2, 3, 64, 64]))
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        latent_size: int = 8192,
        width: int = 64,
        factors: Sequence[int] = (8, 4, 2, 1, 1, 1),
        noise_channels: int | None = None,
    ) -> None:
        super().__init__()
        widths = [factor * width for factor in factors]
        height, breadth = smallest(image_shape, len(factors) - 1)
        self.first = (widths[0], height, breadth)
        channels = _noise(noise_channels, width, len(factors))
        shapes = [(num, height * 2**scale, breadth * 2**scale) for scale, num in enumerate(channels)]
        self.noise_shapes, self.latent_size = shapes, latent_size
        self.num_latents = latent_size + sum(c * h * w for c, h, w in shapes)
        self.dense = nn.Linear(latent_size, widths[0] * height * breadth)
        self.norms = nn.ModuleList(nn.BatchNorm2d(one) for one in widths)
        self.upsamplings = nn.ModuleList(
            upsampling(before + noise, after, bias=True, std=_STD)
            for (before, after), noise in zip(pairwise(widths), channels[:-1], strict=True)
        )
        self.output = nn.ConvTranspose2d(widths[-1] + channels[-1], image_shape[0], 5, padding=2)
        self._init_parameters()

    def _init_parameters(self) -> None:
        for layer, std, bias in ((self.dense, _STD, 0.0), (self.output, _LAST_STD, _LAST_BIAS)):
            assert layer.bias is not None
            nn.init.normal_(layer.weight, std=std)
            nn.init.constant_(layer.bias, bias)
        for norm in self.norms:
            assert isinstance(norm, nn.BatchNorm2d)
            nn.init.normal_(norm.weight, mean=1.0, std=_STD)

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


def _noise(given: int | None, width: int, num_scales: int) -> list[int]:
    """The channels of noise of each scale."""
    if given is not None:
        return [given] * num_scales
    if num_scales > len(_NOISE_SHARES):
        raise ValueError(
            f"the released network has {len(_NOISE_SHARES)} scales, here are {num_scales}: give noise_channels"
        )
    return [max(1, width // share) for share in _NOISE_SHARES[:num_scales]]

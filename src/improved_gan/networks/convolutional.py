"""The convolutional pair of the CIFAR-10 and SVHN experiments (paper, sections 6.2 and 6.3; released scripts).

D at 32x32: dropout 0.2 - three 3x3 convolutions of 96, the third with stride 2 - dropout 0.5 - three of 192, the third
with stride 2 - dropout 0.5 - 3x3 of 192 without padding - two 1x1 of 192 - mean over space = f(x) - K logits. Leaky
ReLU of slope 0.2; weight norm whose scale is learned in the last layer only, whose pre-activations are initialized to
standard deviation 0.1. (At the paper's date: slope 0.1, a common standard deviation of 1 a layer; docs/history.md.)
With minibatch discrimination (paper, section 3.2): Gaussian noise of standard deviation 0.2 in place of the input
dropout, and the minibatch layer between f(x) and the logits.

Images are (N, C, H, W) in [0, 1] outside; inside they are [-1, 1]. SVHN has 64 and 128 channels.
G at 32x32: z uniform in [0, 1]^100 - dense to 512x4x4 - 5x5 transposed convolutions of stride 2 to 256x8x8, 128x16x16
and 3x32x32. Batch norm with a shift but no scale, then ReLU, before each of them: after the dense layer each of the
8192 units has statistics of its own (shared over space, the variation with z would be small beside the variation with
the position); epsilon is 1e-6. The last layer has weight norm (learned scale, initial standard deviation 0.1) and tanh.
Images are in [0, 1] = (tanh + 1) / 2.

`ReferenceGenerator` replaces batch norm by virtual batch normalization (section 3.5).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.kernels.noise import Dropout
from improved_gan.kernels.random_source import source as random_source
from improved_gan.networks.dense import BATCH_NORM_EPSILON
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput, Generator
from improved_gan.techniques.gaussian_noise import GaussianNoise
from improved_gan.techniques.minibatch_discrimination import MinibatchDiscrimination
from improved_gan.techniques.reference_batch import ReferenceBatch
from improved_gan.techniques.virtual_batch_norm import VirtualBatchNorm, convert_virtual_batch_norm
from improved_gan.techniques.weight_norm import data_dependent_init_, weight_norm

__all__ = ["ConvolutionalDiscriminator", "ConvolutionalGenerator", "ReferenceGenerator", "from_tanh", "upsampling"]


_Layer = TypeVar("_Layer", nn.Linear, nn.Conv2d)
SLOPE = 0.2  # of the leaky ReLU
_VIRTUAL_EPSILON = 1e-5
OUTPUT_STD = 0.1  # of the last layer's pre-activations after initialization, as released


class ConvolutionalDiscriminator(Discriminator):
    """The classifier with K class logits; "generated" is class K+1 with logit 0.

    Args:
        image_shape: (C, H, W) of an image; H and W at least 3 after one halving (rounded up) for each width.
        num_classes: K; 1 is plain real or generated.
        widths: channels of each stage, which halves the image with its last convolution.
        convolutions: number per stage, 3 in the paper; 1 is several times as fast, for small machines.
        input_dropout: fraction of the input's numbers that are dropped.
        hidden_dropout: the same after each stage.
        input_noise: standard deviation of the noise on the input, in units of the inner range [-1, 1].
        minibatch: builds the minibatch layer for A features; None for the feature-matching form.
        input_padding: of the first convolution: 1, and 3 in the authors' MNIST script, where 28x28 becomes 32x32.
        slope: of the leaky ReLU.
        output_std: of the last layer's pre-activations after initialization.
        init_per_unit: whether each unit gets its standard deviation from the data, or each layer a common one.

    Raises:
        ValueError: an image that is too small for that many stages.

    Shape: (N, C, H, W) -> logits (N, K), features (N, widths[-1]).

    >>> output = ConvolutionalDiscriminator((3, 32, 32), 10, widths=(8, 16))(torch.zeros(2, 3, 32, 32))
    >>> output.logits.shape, output.features.shape
    (torch.Size([2, 10]), torch.Size([2, 16]))
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        *,
        widths: Sequence[int] = (96, 192),
        convolutions: int = 3,
        input_dropout: float = 0.2,
        hidden_dropout: float = 0.5,
        input_noise: float = 0.0,
        minibatch: Callable[[int], MinibatchDiscrimination] | None = None,
        input_padding: int = 1,
        slope: float = SLOPE,
        output_std: float = OUTPUT_STD,
        init_per_unit: bool = True,
    ) -> None:
        super().__init__()
        _check_size([side + 2 * (input_padding - 1) for side in image_shape], len(widths))
        self.output_std, self.init_per_unit = output_std, init_per_unit
        self.corruption = nn.Sequential(GaussianNoise(input_noise), _dropout(input_dropout))
        layers = _layers(image_shape[0], widths, convolutions, hidden_dropout, slope, input_padding)
        self.body = nn.Sequential(*layers)
        self.minibatch = None if minibatch is None else minibatch(widths[-1])
        self.is_batch_independent = self.minibatch is None
        num_features = widths[-1] if self.minibatch is None else widths[-1] + self.minibatch.weight.shape[1]
        self.output = weight_normed(nn.Linear(num_features, num_classes), learn_scale=True)

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        """Logits and features; a minibatch layer compares all images given."""
        return self.forward_each([images])[0]

    def forward_each(self, batches: Sequence[Tensor]) -> list[DiscriminatorOutput]:
        """All convolutions in one pass; only the minibatch layer uses the batch sizes."""
        sizes = [batch.shape[0] for batch in batches]  # not len: an exported graph must hold for any number
        values = self.body(self.corruption(2 * torch.cat(list(batches)) - 1))
        features = values.mean((2, 3))
        # (N, A) features, with a minibatch layer (N, A + B): the logits use both, feature matching f(x) alone.
        augmented = features if self.minibatch is None else self.minibatch(features, sizes)
        logits = self.output(augmented)
        return [DiscriminatorOutput(*parts) for parts in zip(logits.split(sizes), features.split(sizes), strict=True)]

    def init_from_data_(self, images: Tensor) -> None:
        """Scales and biases from real images: pre-activations of standard deviation 1, at last `output_std`."""
        data_dependent_init_(self, images, std={"output": self.output_std}, per_unit=self.init_per_unit)


class _LeakyConvolution(nn.Module):
    """A weight-normalized convolution and a leaky ReLU."""

    def __init__(
        self, before: int, after: int, slope: float, *, size: int = 3, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__()
        self.slope = slope
        self.convolution = weight_normed(nn.Conv2d(before, after, size, stride, padding), learn_scale=False)

    def forward(self, values: Tensor) -> Tensor:
        return F.leaky_relu(self.convolution(values), self.slope)


def _layers(
    channels: int, widths: Sequence[int], convolutions: int, dropout: float, slope: float, padding: int
) -> Iterator[nn.Module]:
    before = channels
    for width in widths:
        inputs = (before, *[width] * (convolutions - 1))
        for index, num_inputs in enumerate(inputs):
            stride = 2 if index == convolutions - 1 else 1
            yield _LeakyConvolution(num_inputs, width, slope, stride=stride, padding=padding)
            padding = 1
        yield _dropout(dropout)
        before = width
    yield _LeakyConvolution(before, before, slope, padding=0)
    yield _LeakyConvolution(before, before, slope, size=1, padding=0)
    yield _LeakyConvolution(before, before, slope, size=1, padding=0)


def _dropout(p: float) -> nn.Module:
    """The identity at p = 0, where PyTorch's layer would still draw a number for every pixel."""
    return Dropout(p) if p else nn.Identity()


def _check_size(image_shape: Sequence[int], num_halvings: int) -> None:
    left = min(-(-side // 2**num_halvings) for side in image_shape[1:])
    if left < 3:
        raise ValueError(
            f"{num_halvings} halvings leave {left} pixels of an image {tuple(image_shape)}, and the 3x3 layer after "
            "them needs 3: take larger images or fewer widths"
        )


def weight_normed(layer: _Layer, *, learn_scale: bool) -> _Layer:
    """Weight norm initialized as released: v ~ N(0, 0.05^2), g = 1, b = 0, until `init_from_data_` sets g and b."""
    nn.init.normal_(layer.weight, std=0.05)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return weight_norm(layer, learn_scale=learn_scale, scale=1.0)


_Norm = TypeVar("_Norm", nn.BatchNorm1d, nn.BatchNorm2d)


class ConvolutionalGenerator(Generator):
    """Images with pixels in [0, 1] from latents uniform in [0, 1].

    Args:
        image_shape: (C, H, W) of an image; H and W divisible by 2 for each width.
        latent_size: Z.
        widths: channels at each scale, from the smallest; each scale ends with a doubling of the image.
        output_std: initial standard deviation before tanh; 0.1 as released (gray images), 1 for short runs; None leaves
            scale 1 and bias 0, as in the authors' scripts with minibatch discrimination of the paper's date.
        init_per_unit: whether each channel before tanh gets it, or all of them together.
        crop: pixels that the last layer leaves out at each border: 2 makes 28x28 from 16x16.

    Raises:
        ValueError: an image size that is not a multiple of 2^len(widths).

    Shape: (N, Z) -> (N, C, H, W).

    >>> generator = ConvolutionalGenerator((3, 32, 32), widths=(32, 16, 8))
    >>> generator(generator.draw_latents(2)).shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        latent_size: int = 100,
        widths: Sequence[int] = (512, 256, 128),
        output_std: float | None = 0.1,
        init_per_unit: bool = True,
        crop: int = 0,
    ) -> None:
        super().__init__()
        self.output_std, self.init_per_unit = output_std, init_per_unit
        uncropped = (image_shape[0], *(side + 2 * crop for side in image_shape[1:]))
        self.latent_size, self.first = latent_size, (widths[0], *smallest(uncropped, len(widths)))
        units = math.prod(self.first)
        self.dense = nn.Linear(latent_size, units, bias=False)
        self.dense_norm = _shift_only(nn.BatchNorm1d(units))
        self.norms = nn.ModuleList(_shift_only(nn.BatchNorm2d(width)) for width in widths[1:])
        self.upsamplings = nn.ModuleList(upsampling(before, after, bias=False) for before, after in pairwise(widths))
        self.output = weight_norm(upsampling(widths[-1], image_shape[0], bias=True, crop=crop), scale=1.0)
        nn.init.normal_(self.dense.weight, std=0.05)

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        """(num, Z) uniform in [0, 1], on the generator's device."""
        device = self.dense.weight.device
        if source is not None:  # an explicit source is on the CPU, so that every device draws the same latents
            return torch.rand(num, self.latent_size, generator=source).to(device)
        return torch.rand(num, self.latent_size, generator=random_source(device), device=device)

    def forward(self, latents: Tensor) -> Tensor:
        """One image per latent vector."""
        values = self.dense_norm(self.dense(latents)).reshape(-1, *self.first)
        for layer, norm in zip(self.upsamplings, self.norms, strict=True):
            values = norm(layer(F.relu(values)))
        return from_tanh(self.output(F.relu(values)))

    def init_from_data_(self, num: int) -> None:
        """Scale and bias of the last layer from `num` latents, unless `output_std` is None."""
        if self.output_std is not None:
            data_dependent_init_(self, self.draw_latents(num), std=self.output_std, per_unit=self.init_per_unit)


class ReferenceGenerator(Generator):
    """A generator whose batch norm is replaced by virtual batch normalization with a fixed reference of latents.

    In training each forward pass includes the reference batch, with gradient. In evaluation its statistics are cached,
    so an image depends on its latent vector alone.

    Args:
        build: makes a generator with BatchNorm layers.
        num_reference: size of the reference batch, drawn once, at construction.

    Shape: (N, Z) -> (N, C, H, W).

    Source: paper, section 3.5; epsilon 1e-5 as in the authors' ImageNet model, the only one that they released with it.

    >>> generator = ReferenceGenerator(lambda: ConvolutionalGenerator((1, 8, 8), widths=(8,)), num_reference=4)
    >>> generator(generator.draw_latents(2)).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, build: Callable[[], Generator], *, num_reference: int = 100) -> None:
        super().__init__()
        inner = build()
        convert_virtual_batch_norm(inner)
        for layer in inner.modules():
            if isinstance(layer, VirtualBatchNorm):
                layer.eps = _VIRTUAL_EPSILON
        self.body = ReferenceBatch(inner, inner.draw_latents(num_reference), rows_at_once=100)

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        """As the inner generator draws them."""
        return self._inner.draw_latents(num, source=source)

    def forward(self, latents: Tensor) -> Tensor:
        """One image per latent vector."""
        images: Tensor = self.body(latents)
        return images

    def init_from_data_(self, num: int) -> None:
        """The reference batch is the data, so `num` is unused; only the last layer changes."""
        inner = self._inner
        if isinstance(inner, ConvolutionalGenerator) and inner.output_std is not None:
            data_dependent_init_(self.body, self.body.reference, std=inner.output_std, per_unit=inner.init_per_unit)

    def train(self, mode: bool = True) -> Self:
        """Evaluation recomputes the reference statistics: optimizers do not reliably mark what they change."""
        super().train(mode)
        if not mode:
            self.body.refresh()
        return self

    @property
    def _inner(self) -> Generator:
        inner: Any = self.body.network
        assert isinstance(inner, Generator)
        return inner


def upsampling(before: int, after: int, *, bias: bool, std: float = 0.05, crop: int = 0) -> nn.ConvTranspose2d:
    """A 5x5 transposed convolution of stride 2 that doubles the image exactly; weights ~ N(0, std^2).

    `crop` pixels are left out at each border.

    >>> upsampling(4, 2, bias=True)(torch.zeros(1, 4, 7, 7)).shape
    torch.Size([1, 2, 14, 14])
    """
    layer = nn.ConvTranspose2d(before, after, 5, stride=2, padding=2 + crop, output_padding=1, bias=bias)
    nn.init.normal_(layer.weight, std=std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def from_tanh(values: Tensor) -> Tensor:
    """Tanh, scaled to [0, 1]; in float32, since bfloat16 under autocast would round it coarsely."""
    return 0.5 * (torch.tanh(values.to(torch.promote_types(values.dtype, torch.float32))) + 1)


def smallest(image_shape: Sequence[int], num_doublings: int) -> tuple[int, int]:
    """(H, W) of the first feature map.

    Raises:
        ValueError: height or width is not a multiple of 2^num_doublings.
    """
    factor = 2**num_doublings
    if any(side % factor or side < factor for side in image_shape[1:]):
        raise ValueError(
            f"{num_doublings} doublings make sizes that are multiples of {factor}, but the image is "
            f"{tuple(image_shape)}: give one width for each halving that the size allows"
        )
    height, width = (side // factor for side in image_shape[1:])
    return height, width


def _shift_only(norm: _Norm) -> _Norm:
    """Batch norm with a shift but no scale, as released: the scale stays 1, epsilon is 1e-6."""
    norm.eps = BATCH_NORM_EPSILON
    norm.weight.requires_grad_(False)
    return norm

"""The ImageNet pair (paper, section 6.4; released networks): 128x128, two-sided minibatch features.

D: Gaussian noise 0.1 - seven 3x3 convolutions of d, 2d, 4d, 4d, 4d, 8d, 8d channels with strides 2, 2, 2, 1, 1, 2, 2
(128 pixels become 4) - dense to 40d = f(x), all with batch norm and leaky ReLU - minibatch features of 300 kernels of
50, to the real half and to the generated half - K + 1 logits, "generated" the last of them; d = 64. Weights are
initialized with standard deviation 0.02, in the convolutions cut off at two of them, scales of batch norm from
N(1, 0.02^2). The released network has one more vector, a bias of the kernels' projections, which cancels in their
distances.

Batch norm takes the statistics of the real rows for the first half of the channels and those of the generated rows for
the second half. Statistics and minibatch features are those of a tower of 16 real and 16 generated images, as on each
of the authors' four GPUs.

With an explicit l_{K+1} the returned logits are l_k - l_{K+1}: the softmax is the same, and "generated" has logit 0 as
everywhere here. Images are (N, C, H, W) in [0, 1] outside; inside they are [-1, 1].

G: z uniform in [-1, 1]^8192 - dense to 8g x 4 x 4 - five 5x5 transposed convolutions of stride 2 to 4g x 8 x 8, 2g x 16
x 16, g x 32 x 32, g x 64 x 64 and g x 128 x 128 - one of stride 1 to the image; g = 64. At every scale virtual batch
normalization and ReLU, then channels of fresh noise are concatenated: g, g, g/2, g/4, g/8 and g/8 of them. Weights are
initialized with standard deviation 0.02, in the last layer 0.075 with bias -0.45, scales of batch norm from
N(1, 0.02^2); tanh. Images are in [0, 1].

All latents of an image are one vector: first z, then the noise of each scale; so one vector determines one image.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.kernels.precision import precise
from improved_gan.kernels.random_source import source as random_source
from improved_gan.kernels.recomputation import in_backward
from improved_gan.networks.convolutional import from_tanh, smallest, upsampling
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput, Generator
from improved_gan.techniques.gaussian_noise import GaussianNoise
from improved_gan.techniques.minibatch_discrimination import MinibatchDiscrimination

__all__ = ["HalfBatchNorm", "ImageNetDiscriminator", "ImageNetGenerator"]


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
        ValueError: an image size that is not a multiple of 2^(len(factors) - 1), or more than six factors without
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


_WIDTHS = (1, 2, 4, 4, 4, 8, 8)  # of the seven convolutions, in units of d
_STRIDES = (2, 2, 2, 1, 1, 2, 2)  # 128 pixels become 4
_DENSE = 40  # units of the dense layer, in units of d
STD = 0.02  # of all weights at initialization, and of the scales of batch norm around 1


class ImageNetDiscriminator(Discriminator):
    """K classes and "generated", from both halves of a minibatch at once.

    Args:
        image_shape: (C, H, W) of an image; H and W multiples of 32.
        num_classes: K.
        width: d, channels of the first convolution; at least 2.
        input_noise: standard deviation of the noise on the input, in units of the inner range [-1, 1].
        minibatch: builds the minibatch layer for A features; None leaves it out.
        explicit_generated: whether "generated" has a logit of its own, as released, or the fixed 0 of section 5.
        tower: rows of each batch that share statistics and minibatch features, 16 as released; None for all rows.
            Batches that it does not divide are one tower.

    Raises:
        ValueError: an image size that the strides do not divide.

    Shape: (N, C, H, W) -> logits (N, K), features (N, 40d). A single batch is compared with itself as both halves.

    >>> network = ImageNetDiscriminator((3, 64, 64), 10, width=2, minibatch=lambda A: MinibatchDiscrimination(A, 3))
    >>> [half.logits.shape for half in network.forward_each([torch.zeros(2, 3, 64, 64), torch.ones(3, 3, 64, 64)])]
    [torch.Size([2, 10]), torch.Size([3, 10])]
    """

    is_batch_independent, compares_real_and_generated = False, True  # batch norm by real and by generated rows

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        *,
        width: int = 64,
        input_noise: float = 0.1,
        minibatch: Callable[[int], MinibatchDiscrimination] | None = None,
        explicit_generated: bool = True,
        tower: int | None = None,
    ) -> None:
        super().__init__()
        height, breadth = _last_size(image_shape)
        num_features = _DENSE * width
        self.noise = GaussianNoise(input_noise)
        self.body = nn.Sequential(*_layers(image_shape[0], width))
        self.dense = nn.Linear(_WIDTHS[-1] * width * height * breadth, num_features)
        self.dense_norm = HalfBatchNorm(num_features)
        self.minibatch = None if minibatch is None else minibatch(num_features)
        self.explicit_generated, self.tower = explicit_generated, tower
        num_similarities = 0 if self.minibatch is None else 2 * self.minibatch.weight.shape[1]
        self.output = nn.Linear(num_features + num_similarities, num_classes + int(explicit_generated))
        for layer in (self.dense, self.output):
            nn.init.normal_(layer.weight, std=STD)
            nn.init.zeros_(layer.bias)
        if self.minibatch is not None:
            nn.init.normal_(self.minibatch.weight, std=STD)

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        """Logits and features of one batch."""
        return self.forward_each([images])[0]

    def forward_each(self, batches: Sequence[Tensor]) -> list[DiscriminatorOutput]:
        """All batches in one pass; the last one is the generated half where there are several.

        Each real batch is compared with itself and with the generated one, the generated one with itself and with the
        last real one.
        """
        towers = [self._forward_tower(batches) for batches in self._towers(batches)]
        if len(towers) == 1:
            return towers[0]
        parts = [list(zip(*outputs, strict=True)) for outputs in zip(*towers, strict=True)]
        return [DiscriminatorOutput(torch.cat(logits), torch.cat(features)) for logits, features in parts]

    def init_from_data_(self, images: Tensor) -> None:
        """Batch norm needs no data-dependent initialization; the minibatch layer may have one."""
        if self.minibatch is not None:
            with torch.no_grad():
                self.minibatch.init_from_batch_(self._features(2 * images - 1, None))

    def _towers(self, batches: Sequence[Tensor]) -> list[list[Tensor]]:
        """The rows of each tower, of each batch."""
        # An exported graph must hold for any number of rows, so it is one tower: it has no minibatch features.
        if self.tower is None or torch.compiler.is_exporting():
            return [list(batches)]
        num = len(batches[0])
        if num % self.tower or any(len(batch) != num for batch in batches):
            return [list(batches)]
        return [list(rows) for rows in zip(*(torch.split(batch, self.tower) for batch in batches), strict=True)]

    def _forward_tower(self, batches: Sequence[Tensor]) -> list[DiscriminatorOutput]:
        sizes = [batch.shape[0] for batch in batches]  # not len: an exported graph must hold for any number
        images = self.noise(2 * torch.cat(list(batches)) - 1)
        num_real = sum(sizes[:-1]) if len(sizes) > 1 else None
        features = list(torch.split(self._features(images, num_real), sizes))
        logits = [self._class_logits(augmented) for augmented in self._with_similarities(features)]
        return [DiscriminatorOutput(*pair) for pair in zip(logits, features, strict=True)]

    def _features(self, images: Tensor, num_real: int | None) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> f(x) (N, 40d); the first `num_real` rows are real (None: all are both halves)."""
        values = images
        for layer in self.body:
            values = layer(values, num_real) if isinstance(layer, HalfBatchNorm) else layer(values)
        return F.leaky_relu(self.dense_norm(self.dense(values.flatten(1)), num_real), 0.2)

    def _with_similarities(self, features: list[Tensor]) -> list[Tensor]:
        if self.minibatch is None:
            return features
        compare = self.minibatch.forward_real_and_generated
        if len(features) == 1:
            return [compare(features[0], features[0], over_pairs=True)[0]]
        *real, generated = features
        pairs = [compare(one, generated, over_pairs=True) for one in real]
        return [*(pair[0] for pair in pairs), pairs[-1][1]]

    def _class_logits(self, features: Tensor) -> Tensor:
        logits: Tensor = self.output(features)
        return logits[:, :-1] - logits[:, -1:] if self.explicit_generated else logits


class HalfBatchNorm(nn.Module):
    """Batch norm of all rows: the first half of the channels by the real rows, the second half by the generated rows.

    In eval mode it takes running means of these statistics (the authors' program has none and was not used like that).

    Args:
        num_features: C, at least 2; of an odd number the second half has one more.

    Raises:
        ValueError: fewer than two channels.

    Shape: (N, C) or (N, C, H, W), the first `num_real` rows real -> the same.

    Source: released ImageNet network.

    >>> values = torch.tensor([[0.0, 5.0], [2.0, 5.0], [9.0, 1.0], [9.0, 3.0]])
    >>> (HalfBatchNorm(2, scale_std=0.0)(values, 2) + 0.0).detach().round()
    tensor([[-1.,  3.],
            [ 1.,  3.],
            [ 8., -1.],
            [ 8.,  1.]])
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, *, eps: float = 1e-5, momentum: float = 0.1, scale_std: float = STD) -> None:
        super().__init__()
        if num_features < 2:
            raise ValueError(f"num_features must be at least 2, one channel for each half; got {num_features}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = nn.Parameter(1 + scale_std * torch.randn(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, values: Tensor, num_real: int | None = None) -> Tensor:
        """`values` normalized; all rows count as real and as generated where `num_real` is None."""
        if not self.training or num_real is None:
            mean, variance = self.running_mean, self.running_var
            if in_backward():  # a recomputation does not update the running statistics again
                mean, variance = mean.clone(), variance.clone()
            return F.batch_norm(values, mean, variance, self.weight, self.bias, self.training, self.momentum, self.eps)
        mean, variance = self._of_both_halves(precise(values), num_real)
        if not in_backward():
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
                self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
        scale = (variance + self.eps).rsqrt() * self.weight
        shape = (1, -1, *[1] * (values.dim() - 2))
        shift = (self.bias - mean * scale).view(shape)
        return torch.addcmul(shift, precise(values), scale.view(shape)).to(values.dtype)

    def _of_both_halves(self, values: Tensor, num_real: int) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel, (C,) and (C,)."""
        half, space = self.num_features // 2, list(range(2, values.dim()))
        real, generated = values[:num_real, :half], values[num_real:, half:]
        pairs = [torch.var_mean(one, [0, *space], correction=0) for one in (real, generated)]
        (real_variance, real_mean), (generated_variance, generated_mean) = pairs
        return torch.cat([real_mean, generated_mean]), torch.cat([real_variance, generated_variance])


def _layers(channels: int, width: int) -> Iterator[nn.Module]:
    before = channels
    for factor, stride in zip(_WIDTHS, _STRIDES, strict=True):
        convolution = nn.Conv2d(before, factor * width, 3, stride, padding=1)
        nn.init.trunc_normal_(convolution.weight, std=STD, a=-2 * STD, b=2 * STD)
        assert convolution.bias is not None
        nn.init.zeros_(convolution.bias)
        yield convolution
        yield HalfBatchNorm(factor * width)
        yield nn.LeakyReLU(0.2)
        before = factor * width


def _last_size(image_shape: Sequence[int]) -> tuple[int, int]:
    height, width = image_shape[1:]
    if height % 32 or width % 32 or not height * width:
        raise ValueError(f"the five strides need sizes that are multiples of 32; got an image {tuple(image_shape)}")
    return height // 32, width // 32

"""The convolutional discriminator of the CIFAR-10 and SVHN experiments (paper, sections 6.2 and 6.3; released scripts).

D at 32x32: dropout 0.2 - three 3x3 convolutions of 96, the third with stride 2 - dropout 0.5 - three of 192, the third
with stride 2 - dropout 0.5 - 3x3 of 192 without padding - two 1x1 of 192 - mean over space = f(x) - K logits. Leaky
ReLU of slope 0.2; weight norm whose scale is learned in the last layer only, whose pre-activations are initialized to
standard deviation 0.1. (At the paper's date: slope 0.1, a common standard deviation of 1 a layer; docs/history.md.)
With minibatch discrimination (paper, section 3.2): Gaussian noise of standard deviation 0.2 in place of the input
dropout, and the minibatch layer between f(x) and the logits.

Images are (N, C, H, W) in [0, 1] outside; inside they are [-1, 1]. SVHN has 64 and 128 channels.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.kernels.dropout import Dropout
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput
from improved_gan.techniques import GaussianNoise, MinibatchDiscrimination, data_dependent_init_, weight_norm

__all__ = ["ConvolutionalDiscriminator"]

_Layer = TypeVar("_Layer", nn.Linear, nn.Conv2d)
SLOPE = 0.2  # of the leaky ReLU
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

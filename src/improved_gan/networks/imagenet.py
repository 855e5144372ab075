"""The ImageNet discriminator (paper, section 6.4; released experiment): 128x128, two-sided minibatch features.

D: Gaussian noise 0.1 - seven 3x3 convolutions, batch norm and leaky ReLU - dense layer = f(x) - minibatch features of
300 kernels of 50 (means, to the real half and to the generated half) - K + 1 logits, "generated" the last of them.

With an explicit l_{K+1} the returned logits are l_k - l_{K+1}: the softmax is the same, and "generated" has logit 0 as
everywhere here. Left open by the paper and chosen here: where the convolutions stride (the first three and the sixth at
128x128), their widths d, 2d, 4d, 4d, 4d, 8d, 8d, and the width 8d of the dense layer.

Images are (N, C, H, W) in [0, 1] outside; inside they are [-1, 1].
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from improved_gan.networks.interface import Discriminator, DiscriminatorOutput
from improved_gan.techniques import GaussianNoise, MinibatchDiscrimination

__all__ = ["ImageNetDiscriminator"]

_WIDTHS = (1, 2, 4, 4, 4, 8, 8)  # of the seven convolutions, in units of d
_STRIDES = (2, 2, 2, 1, 1, 2, 1)  # 128 pixels become 8


class ImageNetDiscriminator(Discriminator):
    """K classes and "generated", from both halves of a minibatch at once.

    Args:
        image_shape: (C, H, W) of an image; H and W multiples of 16.
        num_classes: K.
        width: d, channels of the first convolution.
        input_noise: standard deviation of the noise on the input, in units of the inner range [-1, 1].
        minibatch: builds the minibatch layer for A features; None leaves it out.
        explicit_generated: whether "generated" has a logit of its own, as released, or the fixed 0 of section 5.

    Raises:
        ValueError: an image size that the strides do not divide.

    Shape: (N, C, H, W) -> logits (N, K), features (N, 8d). A single batch is compared with itself as both halves.

    >>> network = ImageNetDiscriminator((3, 64, 64), 10, width=2, minibatch=lambda A: MinibatchDiscrimination(A, 3))
    >>> [half.logits.shape for half in network.forward_each([torch.zeros(2, 3, 64, 64), torch.ones(3, 3, 64, 64)])]
    [torch.Size([2, 10]), torch.Size([3, 10])]
    """

    is_batch_independent = False  # batch norm

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        *,
        width: int = 64,
        input_noise: float = 0.1,
        minibatch: Callable[[int], MinibatchDiscrimination] | None = None,
        explicit_generated: bool = True,
    ) -> None:
        super().__init__()
        height, breadth = _last_size(image_shape)
        self.noise = GaussianNoise(input_noise)
        self.body = nn.Sequential(*_layers(image_shape[0], width))
        self.dense = nn.Linear(_WIDTHS[-1] * width * height * breadth, 8 * width)
        self.minibatch = None if minibatch is None else minibatch(8 * width)
        self.compares_real_and_generated, self.explicit_generated = self.minibatch is not None, explicit_generated
        num_features = 8 * width + (0 if self.minibatch is None else 2 * self.minibatch.weight.shape[1])
        self.output = nn.Linear(num_features, num_classes + int(explicit_generated))
        for layer in (self.dense, self.output):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        """Logits and features of one batch."""
        return self.forward_each([images])[0]

    def forward_each(self, batches: Sequence[Tensor]) -> list[DiscriminatorOutput]:
        """All batches in one pass through the convolutions; the last one is the generated half where there are several.

        Each real batch is compared with itself and with the generated one, the generated one with itself and with the
        last real one. Batch norm is over all rows: the halves depend on each other anyway.
        """
        sizes = [batch.shape[0] for batch in batches]  # not len: an exported graph must hold for any number
        values = self.dense(self.body(self.noise(2 * torch.cat(list(batches)) - 1)).flatten(1))
        features = list(values.split(sizes))
        logits = [self._class_logits(augmented) for augmented in self._with_similarities(features)]
        return [DiscriminatorOutput(*pair) for pair in zip(logits, features, strict=True)]

    def init_from_data_(self, images: Tensor) -> None:
        """Batch norm needs no data-dependent initialization; the minibatch layer may have one."""
        if self.minibatch is not None:
            with torch.no_grad():
                self.minibatch.init_from_batch_(self.dense(self.body(2 * images - 1).flatten(1)))

    def _with_similarities(self, features: list[Tensor]) -> list[Tensor]:
        if self.minibatch is None:
            return features
        if len(features) == 1:
            return [self.minibatch.forward_real_and_generated(features[0], features[0])[0]]
        *real, generated = features
        pairs = [self.minibatch.forward_real_and_generated(one, generated) for one in real]
        return [*(pair[0] for pair in pairs), pairs[-1][1]]

    def _class_logits(self, features: Tensor) -> Tensor:
        logits: Tensor = self.output(features)
        return logits[:, :-1] - logits[:, -1:] if self.explicit_generated else logits


def _layers(channels: int, width: int) -> Iterator[nn.Module]:
    before = channels
    for factor, stride in zip(_WIDTHS, _STRIDES, strict=True):
        convolution = nn.Conv2d(before, factor * width, 3, stride, padding=1, bias=False)
        nn.init.normal_(convolution.weight, std=(9 * before) ** -0.5)
        yield convolution
        yield nn.BatchNorm2d(factor * width)
        yield nn.LeakyReLU(0.2)
        before = factor * width


def _last_size(image_shape: Sequence[int]) -> tuple[int, int]:
    height, width = image_shape[1:]
    if height % 16 or width % 16 or not height * width:
        raise ValueError(f"the four strides need sizes that are multiples of 16; got an image {tuple(image_shape)}")
    return height // 16, width // 16

"""The Inception network of December 2015 that the score was released with, in the form of the reference port.

1008 logits *without* their bias, TensorFlow 1 bilinear resize to 299 x 299, uint8 input, pixels (x - 128) / 128,
average pools that leave padding out, and a maximum pool in the last block, as in the original graph.

Written for speed: batch normalization is folded into the kernels; the first 1 x 1 convolutions of a block that read the
same input are one; the 1 x 1 convolution behind an average pool is done before it (both are linear, and a mean of ones
is one), on fewer channels. In float32 the numbers are those of the reference up to rounding.

The resize of TensorFlow 1 takes pixel i at i * scale, without half-pixel centers and antialiasing. The 2015 network was
scored with it, so the reference Inception score and FID have it inside; other resizes give other numbers. Interpolation
along the width, then along the height, in float32: the order of the reference port, so that results agree to the last
bit.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.inception_layout import check_state

__all__ = ["INPUT_SIZE", "Inception2015", "Outputs", "prepare", "resize"]


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images.

    Args:
        image: (..., H, W) any real dtype.
        size: (H', W').

    Returns:
        (..., H', W') float32, in the range of the input.

    Source: TensorFlow 1.x, `resize_bilinear` with align_corners=False.

    >>> resize(torch.tensor([[0.0, 4.0]]), (1, 4)).tolist()
    [[0.0, 2.0, 4.0, 4.0]]
    """
    top, bottom, down = _taps(image.shape[-2], size[0])
    left, right, across = _taps(image.shape[-1], size[1])
    if image.shape[-2] > 2 * size[0]:  # far fewer rows are needed than there are
        rows = torch.unique(torch.cat([top, bottom]))
        top, bottom = torch.searchsorted(rows, top), torch.searchsorted(rows, bottom)
        image = image.index_select(-2, rows)
    low, high = image.index_select(-1, left).float(), image.index_select(-1, right).float()
    wide = low + (high - low) * across
    low, high = wide.index_select(-2, top), wide.index_select(-2, bottom)
    return low + (high - low) * down[:, None]


def _taps(num_in: int, num_out: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each output the two inputs and the weight of the second."""
    places = torch.arange(num_out, dtype=torch.float32) * torch.tensor(num_in / num_out, dtype=torch.float32)
    low = places.long()
    return low, (low + 1).clamp_max(num_in - 1), places - low.float()


INPUT_SIZE = 299
_EPSILON = 1e-3  # of the batch normalization


class Outputs(NamedTuple):
    """What a network says of N images."""

    features: Tensor  # (N, A) float32
    logits: Tensor  # (N, K) float32


def prepare(images: Tensor) -> Tensor:
    """(..., 3, H, W) uint8 to the network's input (..., 3, 299, 299) float32 in [-1, 1).

    Raises:
        MetricError: not uint8, or not three channels.

    >>> prepare(torch.zeros(3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([3, 299, 299])
    """
    if images.dtype != torch.uint8 or images.dim() < 3 or images.shape[-3] != 3:
        raise MetricError(f"images must be (..., 3, H, W) uint8; got {tuple(images.shape)} {images.dtype}")
    return (resize(images, (INPUT_SIZE, INPUT_SIZE)) - 128) / 128


class Inception2015(nn.Module):
    """Features and logits of prepared images.

    Args:
        state: the tensors of the weight file, by name.
        dtype: of kernels and activations: float32 for the reference numbers, or bfloat16, which rounds and is several
            times as fast on processors with AMX.

    Raises:
        MetricError: these are not that network's weights.

    Source: Szegedy et al. (2015), "Rethinking the Inception architecture", in the TensorFlow graph of 2015-12-05.
    """

    head: Tensor

    def __init__(self, state: Mapping[str, Tensor], *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        check_state(state)
        self.dtype = dtype

        def conv(block: str, *branches: str, stride: int = 1, same: bool = True) -> _Convolution:
            names = [f"{block}.{branch}" if block else branch for branch in branches]
            return _Convolution(state, names, stride=stride, same=same, dtype=dtype)

        self.stem = nn.ModuleList(
            [
                conv("", "Conv2d_1a_3x3", stride=2, same=False),
                conv("", "Conv2d_2a_3x3", same=False),
                conv("", "Conv2d_2b_3x3"),
                conv("", "Conv2d_3b_1x1", same=False),
                conv("", "Conv2d_4a_3x3", same=False),
            ]
        )
        blocks: list[nn.Module] = [_BlockA(conv, name) for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d")]
        blocks += [_BlockB(conv, "Mixed_6a")]
        blocks += [_BlockC(conv, name) for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e")]
        blocks += [_BlockD(conv, "Mixed_7a"), _BlockE(conv, "Mixed_7b"), _BlockE(conv, "Mixed_7c", pool_largest=True)]
        self.blocks = nn.Sequential(*blocks)
        self.register_buffer("head", state["fc.weight"].float()[:, :, None, None].clone())
        self.requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def forward(self, prepared: Tensor) -> Outputs:
        """(N, 3, 299, 299) from `prepare` -> features (N, 2048) and logits (N, 1008), both float32."""
        x = prepared.to(self.dtype).contiguous(memory_format=torch.channels_last)
        x = self.stem[2](self.stem[1](self.stem[0](x)))
        x = F.max_pool2d(x, 3, 2)
        x = self.stem[4](self.stem[3](x))
        x = F.max_pool2d(x, 3, 2)
        features = self.blocks(x).float().mean((2, 3))
        # As a convolution: the last bits of a matrix product depend on the number of threads in full batches, too.
        return Outputs(features, F.conv2d(features[:, :, None, None], self.head).flatten(1))


class _Convolution(nn.Module):
    """One or several convolutions of the same input with batch normalization folded in, and ReLU."""

    kernel: Tensor
    bias: Tensor

    def __init__(
        self, state: Mapping[str, Tensor], names: list[str], *, stride: int, same: bool, dtype: torch.dtype
    ) -> None:
        super().__init__()
        kernels, biases = [], []
        for name in names:
            norm = {
                part: state[f"{name}.bn.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
            }
            scale = norm["weight"] / (norm["running_var"] + _EPSILON).sqrt()
            kernels.append(state[f"{name}.conv.weight"].double() * scale[:, None, None, None])
            biases.append(norm["bias"] - norm["running_mean"] * scale)
        kernel = torch.cat(kernels).to(dtype).contiguous(memory_format=torch.channels_last)
        self.register_buffer("kernel", kernel)
        self.register_buffer("bias", torch.cat(biases).to(dtype))
        self.sizes = [len(bias) for bias in biases]
        self.stride = stride
        self.padding = (kernel.shape[2] // 2, kernel.shape[3] // 2) if same else (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).relu_()

    def linear(self, x: Tensor) -> Tensor:
        """Without the ReLU."""
        return F.conv2d(x, self.kernel, self.bias, self.stride, self.padding)

    def parts(self, x: Tensor) -> list[Tensor]:
        """The outputs of each of the convolutions."""
        return list(torch.split(self(x), self.sizes, 1))


_Make = Callable[..., _Convolution]


def _mean_pool(x: Tensor) -> Tensor:
    """3 x 3, padding left out of the mean."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class _BlockA(nn.Module):
    """35 x 35: 1x1, 5x5, two 3x3, pool."""

    def __init__(self, conv: _Make, name: str) -> None:
        super().__init__()
        self.first = conv(name, "branch1x1", "branch5x5_1", "branch3x3dbl_1")
        self.five = conv(name, "branch5x5_2")
        self.three = nn.Sequential(conv(name, "branch3x3dbl_2"), conv(name, "branch3x3dbl_3"))
        self.pool = conv(name, "branch_pool")

    def forward(self, x: Tensor) -> Tensor:
        one, five, three = self.first.parts(x)
        return torch.cat([one, self.five(five), self.three(three), _mean_pool(self.pool.linear(x)).relu_()], 1)


class _BlockB(nn.Module):
    """35 x 35 to 17 x 17."""

    def __init__(self, conv: _Make, name: str) -> None:
        super().__init__()
        self.short = conv(name, "branch3x3", stride=2, same=False)
        self.deep = nn.Sequential(
            conv(name, "branch3x3dbl_1"),
            conv(name, "branch3x3dbl_2"),
            conv(name, "branch3x3dbl_3", stride=2, same=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.short(x), self.deep(x), F.max_pool2d(x, 3, 2)], 1)


class _BlockC(nn.Module):
    """17 x 17: 1x1, one and two factorised 7x7, pool."""

    def __init__(self, conv: _Make, name: str) -> None:
        super().__init__()
        self.first = conv(name, "branch1x1", "branch7x7_1", "branch7x7dbl_1")
        self.short = nn.Sequential(conv(name, "branch7x7_2"), conv(name, "branch7x7_3"))
        self.deep = nn.Sequential(*[conv(name, f"branch7x7dbl_{i}") for i in (2, 3, 4, 5)])
        self.pool = conv(name, "branch_pool")

    def forward(self, x: Tensor) -> Tensor:
        one, short, deep = self.first.parts(x)
        pooled = _mean_pool(self.pool.linear(x)).relu_()
        return torch.cat([one, self.short(short), self.deep(deep), pooled], 1)


class _BlockD(nn.Module):
    """17 x 17 to 8 x 8."""

    def __init__(self, conv: _Make, name: str) -> None:
        super().__init__()
        self.first = conv(name, "branch3x3_1", "branch7x7x3_1")
        self.three = conv(name, "branch3x3_2", stride=2, same=False)
        self.seven = nn.Sequential(
            conv(name, "branch7x7x3_2"),
            conv(name, "branch7x7x3_3"),
            conv(name, "branch7x7x3_4", stride=2, same=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        three, seven = self.first.parts(x)
        return torch.cat([self.three(three), self.seven(seven), F.max_pool2d(x, 3, 2)], 1)


class _BlockE(nn.Module):
    """8 x 8: 1x1, one and two 3x3 split in two, pool; the last block of the graph pools the largest value."""

    def __init__(self, conv: _Make, name: str, *, pool_largest: bool = False) -> None:
        super().__init__()
        self.first = conv(name, "branch1x1", "branch3x3_1", "branch3x3dbl_1")
        self.short = nn.ModuleList([conv(name, "branch3x3_2a"), conv(name, "branch3x3_2b")])
        self.middle = conv(name, "branch3x3dbl_2")
        self.deep = nn.ModuleList([conv(name, "branch3x3dbl_3a"), conv(name, "branch3x3dbl_3b")])
        self.pool = conv(name, "branch_pool")
        self.pool_largest = pool_largest

    def forward(self, x: Tensor) -> Tensor:
        one, short, deep = self.first.parts(x)
        deep = self.middle(deep)
        largest = self.pool_largest
        pooled = self.pool(F.max_pool2d(x, 3, 1, 1)) if largest else _mean_pool(self.pool.linear(x)).relu_()
        parts = [one, *(part(short) for part in self.short), *(part(deep) for part in self.deep), pooled]
        return torch.cat(parts, 1)

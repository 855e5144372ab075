"""A small convolutional discriminator for pixels in any order: they are re-ordered by a pixel layout first.

D: pixels onto a grid - 5x5 of 32, stride 2 - 3x3 of 64, stride 2 - 3x3 of 64 without padding - dense 128 = f(x) -
K logits. Leaky ReLU of slope 0.1; weight norm whose scale is learned in the last layer only, whose outputs have
standard deviation 0.1 after initialization; Gaussian noise of standard deviation 0.1 on the grid and before both dense
layers.

Neighboring pixels are correlated, whatever their order, so the layout can be estimated from the training images
(`label_spreading.estimate_pixel_layout`). Permute the pixels of all images, and the grid stays the same: with an
estimated layout this network is permutation-invariant, as the dense networks are. Before `set_pixel_layout_` is called
the pixels lie in rows and columns, as in any convolutional network.

Source: layout: Le Roux et al., 2007, "Learning the 2-D topology of images"; convolutions on it: none.
"""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.label_spreading.pixel_layout import interpolation_table
from improved_gan.networks.convolutional import OUTPUT_STD, weight_normed
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput
from improved_gan.techniques.gaussian_noise import GaussianNoise
from improved_gan.techniques.weight_norm import data_dependent_init_

__all__ = ["LayoutConvDiscriminator", "PixelLayout", "TakesPixelLayout", "apply_pixel_layout"]

_SLOPE = 0.1  # of the leaky ReLU
_ROWS = 4096
_FEWEST = 4  # pixels between which a value is interpolated
_FARTHEST = 1.2  # cells: pixels that are farther do not contribute
_QUANTILES = torch.tensor([0.01, 0.99])  # between which the pixels must fit onto the grid


@runtime_checkable
class TakesPixelLayout(Protocol):
    """A discriminator that re-orders pixels by a layout, such as `LayoutConvDiscriminator`."""

    def set_pixel_layout_(self, positions: Tensor) -> None:
        """Set the position of each pixel, (H * W, 2), before initialization from data and training."""


class PixelLayout(nn.Module):
    """Interpolates the pixels of images onto a grid, each value between the four nearest pixels.

    Until `set_pixel_layout_` is called the pixels lie in rows and columns, and images are unchanged. The indices and
    weights of the interpolation are buffers.

    Args:
        height, width: of the images, and of the grid.

    Shape: (N, C, H, W) -> (N, C, H, W), of the same dtype and range.

    >>> layout = PixelLayout(2, 2)
    >>> layout(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).flatten()
    tensor([1., 2., 3., 4.])
    """

    near: Tensor
    weights: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        own = torch.arange(height * width)
        self.register_buffer("near", own.repeat(_FEWEST, 1))
        self.register_buffer("weights", (torch.arange(_FEWEST) == 0).float()[:, None].repeat(1, height * width))

    def set_pixel_layout_(self, positions: Tensor) -> None:
        """Set the position of each pixel; the grid is centered on them and scaled to hold all but a few.

        The axes are swapped if that fits better. Cells far from all pixels are 0; pixels outside the grid, or in
        dense clusters of many pixels, may not contribute.

        Args:
            positions: (H * W, 2), neighbors about 1 apart; pixels with NaN are left out.

        Raises:
            ValueError: positions of another number, or fewer than four that are finite.
        """
        if tuple(positions.shape) != (math.prod(self.size), 2):
            raise ValueError(f"positions must be ({math.prod(self.size)}, 2); got {tuple(positions.shape)}")
        pixels = positions.isfinite().all(1).nonzero().flatten()
        if len(pixels) < _FEWEST:
            raise ValueError(f"at least {_FEWEST} positions must be finite; {len(pixels)} are")
        points = _fitted(positions[pixels].float().cpu(), self.size)
        order = _raster_order(points)
        points, pixels = points[order], pixels.cpu()[order]
        corner = (1 - torch.tensor(self.size)) / 2
        near, weights = interpolation_table(points, corner, self.size, cells=1)
        cells = corner + torch.cartesian_prod(*(torch.arange(side) for side in self.size))
        near_a_pixel = torch.cdist(cells, points).amin(1) <= _FARTHEST
        self.near.copy_(pixels[near])
        self.weights.copy_(weights * near_a_pixel)

    def forward(self, images: Tensor) -> Tensor:
        """Interpolate the images onto the grid."""
        flat = images.flatten(2)
        grid = torch.zeros_like(flat)
        for near, weight in zip(self.near, self.weights, strict=True):
            grid = grid + flat.index_select(2, near) * weight.to(flat.dtype)
        return grid.reshape(images.shape)


def apply_pixel_layout(images: Tensor, positions: Tensor) -> Tensor:
    """Images whose pixels are re-ordered by a pixel layout, a part at a time.

    Args:
        images: (N, C, H, W) of a real dtype; integer images are rounded.
        positions: (H * W, 2), see `PixelLayout.set_pixel_layout_`.

    Returns:
        (N, C, H, W) of the same dtype, on the images' device.

    Raises:
        ValueError: images of another shape, positions of another number, or fewer than four that are finite.
    """
    if images.dim() != 4:
        raise ValueError(f"images must be (N, C, H, W); got {tuple(images.shape)}")
    layout = PixelLayout(images.shape[2], images.shape[3])
    layout.set_pixel_layout_(positions)
    layout.to(images.device)
    ordered = torch.empty_like(images, memory_format=torch.contiguous_format)
    for into, some in zip(torch.split(ordered, _ROWS), torch.split(images, _ROWS), strict=True):
        part = layout(some.float())
        into.copy_(part if images.is_floating_point() else part.round())
    return ordered


class LayoutConvDiscriminator(Discriminator):
    """The classifier with K class logits; "generated" is class K+1 with logit 0.

    Args:
        image_shape: (C, H, W) of an image; H and W at least 9.
        num_classes: K.
        widths: channels of the three convolutions.
        num_features: A, width of the hidden dense layer.
        input_noise: standard deviation of the noise on the grid, in units of the pixel range [0, 1].
        hidden_noise: standard deviation of the noise before the dense layers.

    Raises:
        ValueError: an image that is too small.

    Shape: (N, C, H, W) -> logits (N, K), features (N, A).

    >>> output = LayoutConvDiscriminator((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28))
    >>> output.logits.shape, output.features.shape
    (torch.Size([2, 10]), torch.Size([2, 128]))
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        *,
        widths: tuple[int, int, int] = (32, 64, 64),
        num_features: int = 128,
        input_noise: float = 0.1,
        hidden_noise: float = 0.1,
    ) -> None:
        super().__init__()
        channels, *sides = image_shape
        sides_left = [-(-side // 4) - 2 for side in sides]  # two strides of 2, then 3x3 without padding
        if min(sides_left) < 1:
            raise ValueError(f"images must have 9 pixels a side or more for these convolutions; got {tuple(sides)}")
        first, second, third = widths
        self.layout = PixelLayout(*sides)
        self.noise = GaussianNoise(input_noise)
        self.convolutions = nn.ModuleList(
            [
                weight_normed(nn.Conv2d(channels, first, 5, stride=2, padding=2), learn_scale=False),
                weight_normed(nn.Conv2d(first, second, 3, stride=2, padding=1), learn_scale=False),
                weight_normed(nn.Conv2d(second, third, 3), learn_scale=False),
            ]
        )
        self.dense = weight_normed(nn.Linear(third * math.prod(sides_left), num_features), learn_scale=False)
        self.hidden_noise = GaussianNoise(hidden_noise)
        self.output = weight_normed(nn.Linear(num_features, num_classes), learn_scale=True)

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        """Classify the images."""
        features = self.hidden_layers(images)[-1]
        return DiscriminatorOutput(self.output(self.hidden_noise(features)), features)

    def hidden_layers(self, images: Tensor) -> list[Tensor]:
        """Outputs of the last convolution, (N, A), and of the dense layer after it, f(x)."""
        values = self.noise(self.layout(images))
        for convolution in self.convolutions:
            values = F.leaky_relu(convolution(values), _SLOPE)
        convolved = values.flatten(1)
        return [convolved, F.leaky_relu(self.dense(self.hidden_noise(convolved)), _SLOPE)]

    def set_pixel_layout_(self, positions: Tensor) -> None:
        """Set the position of each pixel, (H * W, 2), see `PixelLayout.set_pixel_layout_`."""
        self.layout.set_pixel_layout_(positions)

    def init_from_data_(self, images: Tensor) -> None:
        """Scales and biases from a batch of real images: standard deviation 1, in the last layer 0.1 (as released)."""
        data_dependent_init_(self, images, std={"output": OUTPUT_STD})


def _fitted(points: Tensor, size: tuple[int, int]) -> Tensor:
    """(A, 2) relative to the center of the grid: axes swapped if that fits better, shrunk to fit, on whole cells."""
    if _shrinking(points.flip(1), size) < _shrinking(points, size) - 1e-3:
        points = points.flip(1)
    points = points / _shrinking(points, size)
    sides = torch.tensor(size) - 1
    (first, last), (low, high) = torch.aminmax(points, dim=0), points.quantile(_QUANTILES, dim=0)
    all_fit = last - first < sides + 1e-3
    points = points - torch.where(all_fit, first + last, low + high) / 2
    return points - _offset(points + sides / 2)


def _shrinking(points: Tensor, size: tuple[int, int]) -> float:
    """The divisor, at least 1, with which most points fit; quantiles, so that a few outliers do not count."""
    low, high = points.quantile(_QUANTILES, dim=0)
    needed: list[float] = ((high - low) / (torch.tensor(size) - 1).clamp_min(1)).tolist()
    return max(1.0, *needed)


def _raster_order(points: Tensor) -> Tensor:
    """(A,) from top to bottom and left to right, so that ties do not depend on the order of the pixels."""
    rounded = (1000 * points).round()
    order = rounded[:, 1].argsort(stable=True)
    return order[rounded[order, 0].argsort(stable=True)]


def _offset(steps: Tensor) -> Tensor:
    """(2,) the offset of a lattice from whole steps, -0.25..0.75; zero for points that form no lattice."""
    angles = 2 * torch.pi * steps
    sine, cosine = angles.sin().mean(0), angles.cos().mean(0)
    offset = torch.atan2(sine, cosine) / (2 * torch.pi)
    offset = torch.where(
        offset < -0.25, offset + 1, offset
    )  # +0.5 and -0.5 are the same offset: a tie is broken by the range
    return torch.where(torch.hypot(sine, cosine) > 0.5, offset, 0.0)

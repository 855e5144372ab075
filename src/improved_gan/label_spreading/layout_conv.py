"""A small convolutional discriminator for pixels in any order: each is put where it was learned to lie.

D: pixels onto a grid - 5x5 of 32, stride 2 - 3x3 of 64, stride 2 - 3x3 of 64 without padding - dense 128 = f(x) -
K logits. Leaky ReLU of slope 0.1; weight norm whose scale is learned in the last layer only, which starts with
deviation 0.1; Gaussian noise of deviation 0.1 on the grid and before both dense layers.

Near pixels vary together, whatever their order, so where they lie can be read off the training images
(`label_spreading.estimate_pixel_layout`); shuffle the pixels of all images, and the grid stays as it is. So, with positions that
were learned, this is permutation-invariant as the dense networks are, and knows as much of space as a convolution does.
Until it is told any, pixels lie in rows and columns, and it is a convolutional network as others are.

Source: layout: Le Roux et al., 2007, "Learning the 2-D topology of images"; convolutions on it: none.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from improved_gan.label_spreading.scattered_interpolation import interpolation_table
from improved_gan.networks.convolutional import OUTPUT_STD, weight_normed
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput
from improved_gan.techniques import GaussianNoise, data_dependent_init_

__all__ = ["LayoutConvDiscriminator", "PixelLayout", "apply_pixel_layout"]

_SLOPE = 0.1  # of the leaky ReLU
_ROWS = 4096
_FEWEST = 4  # pixels that a value is taken from
_BESIDE = 1.2  # cells: a value is taken from no pixel that is farther
_MOST = torch.tensor([0.01, 0.99])  # of the pixels


class PixelLayout(nn.Module):
    """Puts the pixels of images onto a grid, each value interpolated between the four pixels that lie nearest.

    Until `set_pixel_layout_` is called the pixels lie in rows and columns, and images stay as they are. Which pixels, and how
    much of each, is part of the state.

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
        """Say where the pixels lie; the grid is centered on them, and as wide as to hold all but a few.

        Both axes may change their roles if that fits better. Cells far from all pixels are 0; a pixel outside the grid,
        or among many that crowd in one place, is not seen.

        Args:
            positions: (H * W, 2), neighbors about 1 apart; pixels at NaN are left out.

        Raises:
            ValueError: positions of another number, or fewer than four that are finite.
        """
        if tuple(positions.shape) != (math.prod(self.size), 2):
            raise ValueError(f"positions must be ({math.prod(self.size)}, 2); got {tuple(positions.shape)}")
        pixels = positions.isfinite().all(1).nonzero().flatten()
        if len(pixels) < _FEWEST:
            raise ValueError(f"at least {_FEWEST} positions must be finite; {len(pixels)} are")
        places = _fitted(positions[pixels].float().cpu(), self.size)
        order = _in_order(places)
        places, pixels = places[order], pixels.cpu()[order]
        corner = (1 - torch.tensor(self.size)) / 2
        near, weights = interpolation_table(places, corner, self.size, cells=1)
        cells = corner + torch.cartesian_prod(*(torch.arange(side) for side in self.size))
        beside = torch.cdist(cells, places).amin(1) <= _BESIDE
        self.near.copy_(pixels[near])
        self.weights.copy_(weights * beside)

    def forward(self, images: Tensor) -> Tensor:
        """Lay the images out."""
        flat = images.flatten(2)
        laid = torch.zeros_like(flat)
        for near, weight in zip(self.near, self.weights, strict=True):
            laid = laid + flat.index_select(2, near) * weight.to(flat.dtype)
        return laid.reshape(images.shape)


def apply_pixel_layout(images: Tensor, positions: Tensor) -> Tensor:
    """Images with their pixels put where they lie, a part at a time.

    Args:
        images: (N, C, H, W) of a real dtype; whole numbers are rounded.
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
    placed = torch.empty_like(images, memory_format=torch.contiguous_format)
    for into, some in zip(torch.split(placed, _ROWS), torch.split(images, _ROWS), strict=True):
        part = layout(some.float())
        into.copy_(part if images.is_floating_point() else part.round())
    return placed


class LayoutConvDiscriminator(Discriminator):
    """The classifier with K class logits; "generated" is class K+1 with logit 0.

    Args:
        image_shape: (C, H, W) of an image; H and W at least 9.
        num_classes: K.
        widths: channels of the three convolutions.
        num_features: A, width of the hidden dense layer.
        input_noise: deviation of the noise on the grid, in units of the pixel range [0, 1].
        hidden_noise: deviation of the noise before the dense layers.

    Raises:
        ValueError: an image that is too small.

    Shape: (N, C, H, W) -> logits (N, K), features (N, A).

    >>> judgment = LayoutConvDiscriminator((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28))
    >>> judgment.logits.shape, judgment.features.shape
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
        left = [-(-side // 4) - 2 for side in sides]  # halved twice, and less a border
        if min(left) < 1:
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
        self.dense = weight_normed(nn.Linear(third * math.prod(left), num_features), learn_scale=False)
        self.hidden_noise = GaussianNoise(hidden_noise)
        self.output = weight_normed(nn.Linear(num_features, num_classes), learn_scale=True)

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        """Judge the images."""
        features = self.hidden_layers(images)[-1]
        return DiscriminatorOutput(self.output(self.hidden_noise(features)), features)

    def hidden_layers(self, images: Tensor) -> list[Tensor]:
        """What the last convolution, (N, A), and the dense layer after it, f(x), make of images."""
        values = self.noise(self.layout(images))
        for convolution in self.convolutions:
            values = F.leaky_relu(convolution(values), _SLOPE)
        convolved = values.flatten(1)
        return [convolved, F.leaky_relu(self.dense(self.hidden_noise(convolved)), _SLOPE)]

    def set_pixel_layout_(self, positions: Tensor) -> None:
        """Where the pixels lie, see `PixelLayout`."""
        self.layout.set_pixel_layout_(positions)

    def init_from_data_(self, images: Tensor) -> None:
        """Scales and biases from one batch of real images: deviation 1, in the last layer 0.1 (as released)."""
        data_dependent_init_(self, images, std={"output": OUTPUT_STD})


def _fitted(places: Tensor, size: tuple[int, int]) -> Tensor:
    """(A, 2) from the center of the grid: lying as fits better, made smaller if they must be, on whole cells."""
    if _shrinking(places.flip(1), size) < _shrinking(places, size) - 1e-3:
        places = places.flip(1)
    places = places / _shrinking(places, size)
    sides = torch.tensor(size) - 1
    (first, last), (low, high) = torch.aminmax(places, dim=0), places.quantile(_MOST, dim=0)
    all_fit = last - first < sides + 1e-3
    places = places - torch.where(all_fit, first + last, low + high) / 2
    return places - _offset(places + sides / 2)


def _shrinking(places: Tensor, size: tuple[int, int]) -> float:
    """By how much places must be divided, at least 1, for most to fit; a few outside shall not move the others."""
    low, high = places.quantile(_MOST, dim=0)
    needed: list[float] = ((high - low) / (torch.tensor(size) - 1).clamp_min(1)).tolist()
    return max(1.0, *needed)


def _in_order(places: Tensor) -> Tensor:
    """(A,) from top to bottom and left to right, so that ties do not hang on the order in which pixels came."""
    rounded = (1000 * places).round()
    order = rounded[:, 1].argsort(stable=True)
    return order[rounded[order, 0].argsort(stable=True)]


def _offset(steps: Tensor) -> Tensor:
    """(2,) how far points of a lattice lie from whole steps, -0.25..0.75; zero for points that lie anyhow."""
    turns = 2 * torch.pi * steps
    sine, cosine = turns.sin().mean(0), turns.cos().mean(0)
    offset = torch.atan2(sine, cosine) / (2 * torch.pi)
    offset = torch.where(offset < -0.25, offset + 1, offset)  # half a step either way is one way
    return torch.where(torch.hypot(sine, cosine) > 0.5, offset, 0.0)

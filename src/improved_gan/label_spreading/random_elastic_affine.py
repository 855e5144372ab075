"""Random elastic and affine deformations: small rotation, scale, shear, translation and elastic distortion of images.

    q_i = p_i + B p_i + t + sum_m w_m(p_i) b_m;  new pixel i = the image at q_i, interpolated between 4 nearest pixels

p_i is the position of pixel i; B, t and b_m are drawn for each image; w_m are Gaussian bumps on a grid of 4 x 4 points.
This augments the labeled images; with a consistency loss a classifier is trained to predict the same class for all
augmented views of an unlabeled image. Not in the paper.

Pixels may have any positions: `estimate_pixel_layout` estimates them from the images alone, as neighboring pixels are
correlated. A permutation of the pixels permutes the positions alike, so permutation-invariant methods may use it. With
c_ij the correlation of two pixels and d_ij = sqrt(1 - c_ij):

    graph    each pixel with its 4 nearest, and with mutual neighbors among the k nearest
    edges    d_ij / sqrt(m_i m_j), m_i the mean distance of pixel i to its 4 nearest
    layout   Isomap: the plane in which Euclidean distances come closest to shortest paths along the graph
    lattice  the steps between neighbors, rounded (`label_spreading.pixel_layout`), where that fits most of them

Source: Simard, Steinkraus and Platt, 2003, "Best practices for convolutional neural networks"; without labels Sajjadi,
Javanmardi and Tasdizen, 2016; positions: Le Roux et al., 2007, "Learning the 2-D topology of images", by Isomap
(Tenenbaum et al., 2000) with conformal edges (de Silva and Tenenbaum, 2002).
"""

import math

import torch
from torch import Tensor, nn

from improved_gan.kernels.precision import precise
from improved_gan.label_spreading.pixel_layout import (
    CELLS,
    NEAREST,
    geodesic_distances,
    interpolation_table,
    isomap_embedding,
)

__all__ = ["RandomElasticAffine", "estimate_pixel_layout", "grid_positions"]

_FEWEST, _MOST = 16, 2048  # pixels for which a layout can be estimated
_MARGIN, _BUMPS = 1.0, 4  # margin of the lookup table around the pixels; bumps along an axis
_NUMBERS = 2**22  # pixel values in a part


def grid_positions(height: int, width: int) -> Tensor:
    """(height * width, 2) float32 positions of the pixels of an image, one unit apart: down, and to the right.

    Source: none.

    >>> grid_positions(1, 2)
    tensor([[0., 0.],
            [0., 1.]])
    """
    down, right = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([down.flatten(), right.flatten()], 1).float()


@torch.no_grad()
def estimate_pixel_layout(images: Tensor, *, num_neighbors: int = 6, least_variance: float = 1e-3) -> Tensor:
    """Estimate positions of the pixels in a plane, so that correlated pixels are neighbors.

    The layout is determined up to rotation and reflection. Where a square lattice fits, most neighbors are exactly one
    apart; otherwise distances are accurate to about 20%, those of near pixels less. Time grows with N A^2 + A^3 (all of
    MNIST: 3 s on a core). For images whose distribution is symmetric under reflection the result is not unique: save
    the positions if they must be the same on another machine.

    Args:
        images: (N, A...) gray images of a real dtype; of their A pixels 16 to 2,048 vary.
        num_neighbors: k of the graph, >= 4.
        least_variance: pixels below this fraction of the largest variance get no position, 0 < fraction < 1.

    Returns:
        (A, 2) float32, neighbors about 1 apart; NaN for pixels of low variance or outside the largest component of the
        graph.

    Raises:
        ValueError: a number out of range, no images or some that are not finite, or no layout for half of the varying
            pixels.

    Source: Le Roux et al., 2007, section 3.

    >>> estimate_pixel_layout(torch.randn(50, 20)).shape
    torch.Size([20, 2])
    """
    if images.dim() < 2 or not images.numel() or num_neighbors < NEAREST or not 0 < least_variance < 1:
        wanted = f"images (N, A...), num_neighbors of at least {NEAREST}, least_variance in 0..1"
        raise ValueError(f"{wanted}; got {tuple(images.shape)}, {num_neighbors}, {least_variance}")
    parts = images.flatten(1).tensor_split(1 + images.numel() // _NUMBERS)
    mean = torch.stack([some.double().sum(0) for some in parts]).sum(0) / len(images)
    variances = torch.stack([(some.double() - mean).square().sum(0) for some in parts]).sum(0) / len(images)
    if not bool(variances.isfinite().all()):
        raise ValueError("images must be finite; some are NaN or infinite")
    varying = (variances > least_variance * variances.max()).nonzero().flatten()
    if not _FEWEST <= len(varying) <= _MOST:
        raise ValueError(f"{_FEWEST} to {_MOST} pixels must vary over the images; {len(varying)} do")
    correlations = torch.zeros(len(varying), len(varying), dtype=torch.float64, device=images.device)
    for some in parts:
        standard = ((some[:, varying].double() - mean[varying]) / variances[varying].sqrt()).float()
        correlations += (standard.T @ standard).double() / len(images)
    paths, closest = geodesic_distances(correlations, min(num_neighbors, len(varying) - 1))
    component = paths[paths.isfinite().sum(1).argmax()].isfinite().nonzero().flatten()
    if 2 * len(component) <= len(varying):
        groups = f"the largest connected component of the pixels' graph has {len(component)} of {len(varying)}"
        raise ValueError(f"{groups}: more neighbors than {num_neighbors} may help, or these are no images")
    layout = isomap_embedding(*(matrix[component][:, component] for matrix in (paths, closest, correlations)))
    positions = torch.full((len(variances), 2), torch.nan, device=images.device)
    positions[varying[component]] = layout.float()
    return positions


class RandomElasticAffine(nn.Module):
    """Deforms each image of a batch by its own random deformation; the identity in evaluation mode.

    Values are looked up in a table of six cells a pixel, so positions are accurate to a twelfth of a pixel, and with
    all magnitudes 0 images change slightly where the pixels are not in a grid. The state dict is empty: save the
    positions.

    Args:
        positions: (A, 2) the pixel layout, neighbors about 1 apart; pixels with NaN are unchanged. The magnitudes
            refer to its two axes, in a grid down and to the right.
        rotation: largest angle, in radians, in both directions.
        scale: largest relative change of either axis, in both directions.
        shear: largest shift along the second axis for each unit along the first, in both directions.
        translate: largest shift along either axis, in pixels.
        elastic_std: standard deviation of the bumps' displacements, in pixels.

    Source: Simard et al., 2003, section 2.

    Raises:
        ValueError: positions of another shape, fewer than four that are finite or far more than 1 apart, or a
            magnitude that is negative or not finite.

    >>> still = RandomElasticAffine(grid_positions(8, 8), rotation=0, scale=0, shear=0, translate=0, elastic_std=0)
    >>> image = torch.rand(1, 1, 8, 8)
    >>> torch.allclose(still(image), image, atol=1e-4)
    True
    """

    pixels: Tensor
    points: Tensor
    bumps: Tensor
    near: Tensor
    weights: Tensor

    def __init__(
        self,
        positions: Tensor,
        *,
        rotation: float = 0.2,
        scale: float = 0.1,
        shear: float = 0.2,
        translate: float = 2.0,
        elastic_std: float = 1.0,
    ) -> None:
        super().__init__()
        if positions.dim() != 2 or positions.shape[1] != 2:
            raise ValueError(f"positions must be (A, 2); got {tuple(positions.shape)}")
        magnitudes = (rotation, scale, shear, translate, elastic_std)
        pixels = positions.isfinite().all(1).nonzero().flatten()
        if len(pixels) < NEAREST or not all(0 <= one < math.inf for one in magnitudes):
            wanted = f"at least {NEAREST} positions must be finite ({len(pixels)} are) and magnitudes finite and >= 0"
            raise ValueError(f"{wanted}; got {magnitudes}")
        self.rotation, self.scale, self.shear, self.translate, self.elastic_std = magnitudes
        self.num_pixels = len(positions)
        points = positions[pixels].float()
        points = points - (points.amin(0) + points.amax(0)) / 2
        low = points.amin(0) - _MARGIN
        rows, columns = (round(float(side) * CELLS) + 1 for side in points.amax(0) + _MARGIN - low)
        near, weights = interpolation_table(points, low, (rows, columns))
        self._low, self._size = low.tolist(), (rows, columns)
        names, values = (
            ("pixels", "points", "bumps", "near", "weights"),
            (pixels, points, _bumps(points), near, weights),
        )
        for name, value in zip(names, values, strict=True):
            self.register_buffer(name, value, persistent=False)

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Deform each image, all of its channels alike.

        Args:
            images: (N, C, H, W) with H W = A pixels, or (N, A); floating point, any range.
            generator: of random numbers, on the CPU; None for the global one.

        Returns:
            New images of the same shape, dtype and range.

        Raises:
            ValueError: another number of pixels, or integer images.
        """
        flat = images.flatten(2) if images.dim() > 2 else images[:, None]
        if flat.shape[2] != self.num_pixels or not images.is_floating_point():
            wanted = f"images must have {self.num_pixels} pixels and floating point"
            raise ValueError(f"{wanted}; got {tuple(images.shape)} {images.dtype}")
        if not self.training:
            return images
        with torch.autocast(images.device.type, enabled=False):
            cells = self._cells(*(moves.to(self.points) for moves in self._moves(len(images), generator)))
        deformed = flat.clone()
        for channel in range(flat.shape[1]):
            source = precise(flat[:, channel, self.pixels])
            total = torch.zeros_like(source)
            for near, weight in zip(self.near, self.weights, strict=True):
                there = source.gather(1, near.index_select(0, cells).view_as(source))
                total.addcmul_(there, weight.index_select(0, cells).view_as(source).to(source.dtype))
            deformed[:, channel, self.pixels] = total.to(flat.dtype)
        return deformed.reshape(images.shape)

    def _moves(self, number: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """(number, 2, 3) affine maps less the identity, and (number, 2, bumps) displacements."""
        uniform = torch.rand(6, number, generator=generator, device="cpu") * 2 - 1
        angle, shear = uniform[0] * self.rotation, uniform[3] * self.shear
        along, across = 1 + uniform[1:3] * self.scale
        first = torch.stack([along * angle.cos() - 1, angle.sin(), uniform[4] * self.translate], 1)
        second = torch.stack([shear - angle.sin(), across * angle.cos() - 1, uniform[5] * self.translate], 1)
        elastic = torch.randn(number, 2, self.bumps.shape[1], generator=generator, device="cpu")
        return torch.stack([first, second], 1), elastic * self.elastic_std

    def _cells(self, affine: Tensor, elastic: Tensor) -> Tensor:
        """(N * A,) the cell of the table in which each pixel of each image is looked up."""
        known = torch.cat([self.points, torch.ones_like(self.points[:, :1]), self.bumps], 1)
        steps = []
        for axis in (0, 1):
            moved = torch.cat([affine[:, axis], elastic[:, axis]], 1) @ known.T + self.points[:, axis]
            steps.append(((moved - self._low[axis]) * CELLS).round_().clamp_(0, self._size[axis] - 1).long())
        return (steps[0] * self._size[1] + steps[1]).flatten()  # type: ignore[no-any-return]


def _bumps(points: Tensor) -> Tensor:
    """(A, bumps) the weight of each bump at each point."""
    half = points.abs().amax(0).tolist()
    centers = torch.cartesian_prod(*(torch.linspace(-one, one, _BUMPS, device=points.device) for one in half))
    width = 1.2 * max(half) / (_BUMPS - 1)
    return torch.exp(-torch.cdist(points, centers).square() / (2 * max(width, 1e-6) ** 2))

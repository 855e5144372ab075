"""A recipe's augmentation by random deformations, see `label_spreading.random_elastic_affine`."""

import math
from dataclasses import dataclass

from torch import Tensor

from improved_gan.data.dataset import DataError, LabeledImages
from improved_gan.data.label_split import LabelSplit
from improved_gan.label_spreading.random_elastic_affine import (
    RandomElasticAffine,
    estimate_pixel_layout,
    grid_positions,
)

__all__ = ["Augmentation"]

_MOST = 60_000  # images from which positions are estimated, evenly spaced,
_NUMBERS = 2**27  # and the most pixels of all of them
_MAGNITUDES = ("rotation", "scale", "shear", "translate", "elastic_std")


@dataclass(frozen=True)
class Augmentation:
    """New augmented views of labeled and pseudo-labeled images in each step; objectives may use unlabeled ones too.

    Args:
        rotation, scale, shear, translate, elastic_std: see `label_spreading.RandomElasticAffine`; radians, fractions,
            pixels.
        learn_positions: estimate the pixel layout from the training images, so that nothing depends on the order of
            the pixels; otherwise they lie in rows and columns. The axes of an estimated layout may be rotated, and
            with them shear and scale.
        num_neighbors: see `label_spreading.estimate_pixel_layout`.

    Raises:
        ValueError: a magnitude that is negative or not finite, or fewer than 4 neighbors.
    """

    rotation: float = 0.2
    scale: float = 0.1
    shear: float = 0.2
    translate: float = 2.0
    elastic_std: float = 1.0
    learn_positions: bool = False
    num_neighbors: int = 6

    def __post_init__(self) -> None:
        for name in _MAGNITUDES:
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and not negative; got {getattr(self, name)}")
        if self.num_neighbors < 4:
            raise ValueError(f"num_neighbors must be at least 4; got {self.num_neighbors}")

    def of(self, positions: Tensor) -> RandomElasticAffine:
        """The augmentation of images with their pixels at these `positions`."""
        return RandomElasticAffine(positions, **{name: getattr(self, name) for name in _MAGNITUDES})

    def positions(self, data: LabeledImages, split: LabelSplit) -> Tensor:
        """(H * W, 2) the pixel layout of the training images; no label is read.

        Raises:
            DataError: it cannot be estimated from these images.
        """
        if not self.learn_positions:
            return grid_positions(*data.images.shape[2:])
        rows = split.training_indices()
        most = min(_MOST, max(1, _NUMBERS // data.images[0].numel()))
        images = data.images[rows[:: -(-len(rows) // most)]]
        gray = images if images.shape[1] == 1 else images.float().mean(1)
        try:
            return estimate_pixel_layout(gray, num_neighbors=self.num_neighbors)
        except ValueError as error:
            raise DataError(f"the pixel layout cannot be estimated from these images: {error}") from error

"""How a recipe deforms images that the classes are learned from, see `label_spreading.random_elastic_affine`."""

import math
from dataclasses import dataclass

from torch import Tensor

from improved_gan.data import DataError, LabeledImages, LabelSplit
from improved_gan.label_spreading.random_elastic_affine import (
    RandomElasticAffine,
    estimate_pixel_layout,
    grid_positions,
)

__all__ = ["Augmentation"]

_MOST = 60_000  # images that positions are learned from, evenly spaced,
_NUMBERS = 2**27  # and the most pixels of all of them
_MAGNITUDES = ("rotation", "scale", "shear", "translate", "elastic_std")


@dataclass(frozen=True)
class Augmentation:
    """Labeled and guessed images in a new form each time; an objective may ask for forms of the unlabeled ones too.

    Args:
        rotation, stretch, slant, shift, bend: see `label_spreading.RandomElasticAffine`; radians, shares, pixels.
        learn_positions: find out from the training images where the pixels lie, so that nothing depends on their
            order; otherwise they lie in rows and columns. Learned axes may be turned, and so are slant and stretch.
        num_neighbors: see `label_spreading.estimate_pixel_layout`.

    Raises:
        ValueError: a strength that is negative or not finite, or fewer than 4 neighbors.
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
        """For images with their pixels at these `positions`."""
        return RandomElasticAffine(positions, **{name: getattr(self, name) for name in _MAGNITUDES})

    def positions(self, data: LabeledImages, split: LabelSplit) -> Tensor:
        """(H * W, 2) where the pixels of such images lie; no label is read.

        Raises:
            DataError: they cannot be learned from them.
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
            raise DataError(f"where the pixels lie cannot be learned from these images: {error}") from error

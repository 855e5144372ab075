"""How a recipe deforms images that the classes are learnt from, see `techniques.random_deformations`."""

import math
from dataclasses import dataclass

from torch import Tensor

from improved_gan.data import DataError, LabelledImages, LabelSplit
from improved_gan.techniques import RandomDeformations, grid_positions, pixel_positions

__all__ = ["Deforming"]

_MOST = 60_000  # images that positions are learnt from, evenly spaced,
_NUMBERS = 2**27  # and the most pixels of all of them
_STRENGTHS = ("rotation", "stretch", "slant", "shift", "bend")


@dataclass(frozen=True)
class Deforming:
    """Labelled and guessed images in a new form each time; an objective may ask for forms of the unlabelled ones too.

    Args:
        rotation, stretch, slant, shift, bend: see `techniques.RandomDeformations`; radians, shares, pixels.
        learn_positions: find out from the training images where the pixels lie, so that nothing depends on their
            order; otherwise they lie in rows and columns. Learnt axes may be turned, and so are slant and stretch.
        num_neighbours: see `techniques.pixel_positions`.

    Raises:
        ValueError: a strength that is negative or not finite, or fewer than 4 neighbours.
    """

    rotation: float = 0.2
    stretch: float = 0.1
    slant: float = 0.2
    shift: float = 2.0
    bend: float = 1.0
    learn_positions: bool = False
    num_neighbours: int = 6

    def __post_init__(self) -> None:
        for name in _STRENGTHS:
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and not negative; got {getattr(self, name)}")
        if self.num_neighbours < 4:
            raise ValueError(f"num_neighbours must be at least 4; got {self.num_neighbours}")

    def of(self, positions: Tensor) -> RandomDeformations:
        """For images with their pixels at these `positions`."""
        return RandomDeformations(positions, **{name: getattr(self, name) for name in _STRENGTHS})

    def positions(self, data: LabelledImages, split: LabelSplit) -> Tensor:
        """(H * W, 2) where the pixels of such images lie; no label is read.

        Raises:
            DataError: they cannot be learnt from them.
        """
        if not self.learn_positions:
            return grid_positions(*data.images.shape[2:])
        rows = split.training_indices()
        most = min(_MOST, max(1, _NUMBERS // data.images[0].numel()))
        images = data.images[rows[:: -(-len(rows) // most)]]
        grey = images if images.shape[1] == 1 else images.float().mean(1)
        try:
            return pixel_positions(grey, num_neighbours=self.num_neighbours)
        except ValueError as error:
            raise DataError(f"where the pixels lie cannot be learnt from these images: {error}") from error

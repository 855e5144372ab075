"""How a recipe deforms images that the classes are learnt from, see `techniques.random_deformations`."""

from dataclasses import asdict, dataclass

import torch

from improved_gan.data import DataError, LabelledImages, LabelSplit
from improved_gan.techniques import RandomDeformations, grid_positions, pixel_positions

__all__ = ["Deforming"]

_MOST = 60_000  # images that positions are learnt from, evenly spaced


@dataclass(frozen=True)
class Deforming:
    """Labelled and guessed images in a new form each time; an objective may ask for forms of the unlabelled ones too.

    Args:
        rotation, stretch, slant, shift, bend: see `techniques.RandomDeformations`; radians, shares and pixels.
        learn_positions: find out from the training images where the pixels lie, so that nothing depends on their
            order; otherwise they lie in rows and columns.
        num_neighbours: see `techniques.pixel_positions`.

    Raises:
        ValueError: a negative number.
    """

    rotation: float = 0.2
    stretch: float = 0.1
    slant: float = 0.2
    shift: float = 2.0
    bend: float = 1.0
    learn_positions: bool = False
    num_neighbours: int = 6

    def __post_init__(self) -> None:
        for name in ("rotation", "stretch", "slant", "shift", "bend"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative; got {getattr(self, name)}")

    def of(self, data: LabelledImages, split: LabelSplit, device: torch.device | str) -> RandomDeformations:
        """For images like these; no label is read.

        Raises:
            DataError: no positions can be learnt from them.
        """
        strengths = {name: value for name, value in asdict(self).items() if name not in _ABOUT_POSITIONS}
        if not self.learn_positions:
            return RandomDeformations(grid_positions(*data.images.shape[2:]), **strengths).to(device)
        rows = split.training_indices()
        images = data.images[rows[:: -(-len(rows) // _MOST)]]
        grey = images if images.shape[1] == 1 else images.float().mean(1)
        try:
            positions = pixel_positions(grey, num_neighbours=self.num_neighbours)
        except ValueError as error:
            raise DataError(f"where the pixels lie cannot be learnt from these images: {error}") from error
        return RandomDeformations(positions, **strengths).to(device)


_ABOUT_POSITIONS = ("learn_positions", "num_neighbours")

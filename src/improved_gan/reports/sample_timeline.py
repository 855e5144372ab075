"""Grids of samples over time, small enough for a run.

Grids are stored enlarged; here each image has its original size, and the browser enlarges it. All runs together take
about 8 MB at most: a run shows at most 40 epochs, and fewer samples if the images are large.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from improved_gan.reports.image_encoding import data_uri, evenly, read_grid
from improved_gan.runs import Run
from improved_gan.training.sampling import grid

__all__ = ["BUDGET", "RunGrids", "Timeline", "make_timeline"]

BUDGET = 8_000_000  # bytes of all data URIs together
_MOST_FRAMES, _LEAST_FRAMES = 40, 8
_COUNTS = (100, 64, 36, 16, 9, 4)  # samples of a grid


@dataclass(frozen=True)
class RunGrids:
    """The sample grids of one run.

    Args:
        epochs, images: epoch and data URI of each grid; empty if the run has none.
        shown, of: number of samples in each image, and in the run's own grids.
        width: width of an image in pixels.
        total: number of grids of the run.
        damaged: number of grids that could not be read.
    """

    epochs: list[int]
    images: list[str]
    shown: int = 0
    of: int = 0
    width: int = 0
    total: int = 0
    damaged: int = 0


@dataclass(frozen=True)
class Timeline:
    """The grids of all runs, and every epoch at which some run has a grid."""

    epochs: list[int]
    runs: list[RunGrids]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: all grids except each run's last one, which is in the page itself."""
        earlier = [
            [{"epoch": epoch, "src": src} for epoch, src in zip(run.epochs[:-1], run.images[:-1], strict=True)]
            for run in self.runs
        ]
        return {
            "epochs": self.epochs,
            "runs": earlier,
            "last": [run.epochs[-1] if run.epochs else None for run in self.runs],
        }


def make_timeline(runs: Sequence[Run]) -> Timeline:
    """The grids of each run, with fewer epochs and samples where needed to stay within the budget."""
    budget = BUDGET // max(1, len(runs))
    grids = [_run_grids(run, budget) for run in runs]
    return Timeline(sorted({epoch for one in grids for epoch in one.epochs}), grids)


def _run_grids(run: Run, budget: int) -> RunGrids:
    read = {
        epoch: read_grid(run.sample_grids[epoch], run.image_shape) for epoch in evenly(run.sample_grids, _MOST_FRAMES)
    }
    tiles = {epoch: images for epoch, images in read.items() if images is not None}
    damaged = len(read) - len(tiles)
    if not tiles:
        return RunGrids([], [], total=len(run.sample_grids), damaged=damaged)
    most = min(len(images) for images in tiles.values())
    count = _affordable(list(tiles.values())[-1], most, budget // min(len(tiles), _LEAST_FRAMES))
    last = data_uri(_square(list(tiles.values())[-1], count))
    epochs = evenly(tiles, max(1, min(_MOST_FRAMES, budget // len(last))))
    images = [data_uri(_square(tiles[epoch], count)) for epoch in epochs]
    width = _square(tiles[epochs[-1]], count).shape[2]
    return RunGrids(epochs, images, count, most, width, len(run.sample_grids), damaged)


def _affordable(images: Tensor, most: int, budget: int) -> int:
    """The largest number of samples whose grid fits the budget."""
    for count in (most, *(one for one in _COUNTS if one < most)):
        if len(data_uri(_square(images, count))) <= budget:
            return count
    return 1


def _square(images: Tensor, count: int) -> Tensor:
    return grid(images[:count], pixel_size=1, gap=1)

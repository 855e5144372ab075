"""Grids of samples over time, small enough for a page.

Grids are stored enlarged; here each image is kept at its own size and enlarged by the browser. All runs together take
about 8 MB at most: a run shows at most 40 epochs, and of large pictures fewer samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from improved_gan.reports.image_encoding import data_uri, evenly, read_grid
from improved_gan.reports.run_log import RunRecord
from improved_gan.training.sampling import grid

__all__ = ["BUDGET", "Book", "Page", "flipbook"]

BUDGET = 8_000_000  # bytes of all data URIs together
_MOST_FRAMES, _LEAST_FRAMES = 40, 8
_COUNTS = (100, 64, 36, 16, 9, 4)  # samples of a grid


@dataclass(frozen=True)
class Page:
    """One run's grids.

    Args:
        epochs, pictures: of each grid; the pictures are data URIs. Empty where the run has none.
        shown, of: samples in each picture, and in the run's own grids.
        width: of a picture in pixels.
        total: grids that the run has.
        damaged: grids that could not be read.
    """

    epochs: list[int]
    pictures: list[str]
    shown: int = 0
    of: int = 0
    width: int = 0
    total: int = 0
    damaged: int = 0


@dataclass(frozen=True)
class Book:
    """All runs' grids, and every epoch at which one of them has one."""

    epochs: list[int]
    pages: list[Page]

    def as_dict(self) -> dict[str, Any]:
        """As JSON would hold it: all grids but each run's last, which stands in the page itself."""
        earlier = [
            [
                {"epoch": epoch, "src": picture}
                for epoch, picture in zip(page.epochs[:-1], page.pictures[:-1], strict=True)
            ]
            for page in self.pages
        ]
        return {
            "epochs": self.epochs,
            "runs": earlier,
            "last": [page.epochs[-1] if page.epochs else None for page in self.pages],
        }


def flipbook(runs: Sequence[RunRecord]) -> Book:
    """The grids of each run, thinned and cut so that all fit the budget."""
    share = BUDGET // max(1, len(runs))
    pages = [_page(run, share) for run in runs]
    return Book(sorted({epoch for page in pages for epoch in page.epochs}), pages)


def _page(run: RunRecord, budget: int) -> Page:
    read = {epoch: read_grid(run.pictures[epoch], run.image_shape) for epoch in evenly(run.pictures, _MOST_FRAMES)}
    tiles = {epoch: images for epoch, images in read.items() if images is not None}
    damaged = len(read) - len(tiles)
    if not tiles:
        return Page([], [], total=len(run.pictures), damaged=damaged)
    most = min(len(images) for images in tiles.values())
    count = _affordable(list(tiles.values())[-1], most, budget // min(len(tiles), _LEAST_FRAMES))
    last = data_uri(_square(list(tiles.values())[-1], count))
    epochs = evenly(tiles, max(1, min(_MOST_FRAMES, budget // len(last))))
    pictures = [data_uri(_square(tiles[epoch], count)) for epoch in epochs]
    width = _square(tiles[epochs[-1]], count).shape[2]
    return Page(epochs, pictures, count, most, width, len(run.pictures), damaged)


def _affordable(images: Tensor, most: int, budget: int) -> int:
    """The largest number of samples whose picture fits."""
    for count in (most, *(one for one in _COUNTS if one < most)):
        if len(data_uri(_square(images, count))) <= budget:
            return count
    return 1


def _square(images: Tensor, count: int) -> Tensor:
    return grid(images[:count], pixel_size=1, gap=1)

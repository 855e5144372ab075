"""How samples change during training: grids for the report, a PNG strip and a GIF animation.

Grids are stored enlarged; here each image has its original size, and the browser enlarges it. All runs together take
about 8 MB at most: a run shows at most 40 epochs, and fewer samples if the images are large.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from improved_gan.reports.image_encoding import as_array, as_png, data_uri, evenly, read_grid, shrunk, within
from improved_gan.runs import Run
from improved_gan.training.errors import RunError
from improved_gan.training.sampling import grid

__all__ = [
    "BUDGET",
    "GIF_BYTES",
    "STRIP_BYTES",
    "RunGrids",
    "Timeline",
    "animation",
    "as_gif",
    "frames",
    "make_timeline",
    "strip",
]


BUDGET = 8_000_000  # bytes of all data URIs together
_MOST_GRIDS, _LEAST_FRAMES = 40, 8
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
        epoch: read_grid(run.sample_grids[epoch], run.image_shape) for epoch in evenly(run.sample_grids, _MOST_GRIDS)
    }
    tiles = {epoch: images for epoch, images in read.items() if images is not None}
    damaged = len(read) - len(tiles)
    if not tiles:
        return RunGrids([], [], total=len(run.sample_grids), damaged=damaged)
    most = min(len(images) for images in tiles.values())
    count = _affordable(list(tiles.values())[-1], most, budget // min(len(tiles), _LEAST_FRAMES))
    last = data_uri(_square(list(tiles.values())[-1], count))
    epochs = evenly(tiles, max(1, min(_MOST_GRIDS, budget // len(last))))
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


GIF_BYTES, STRIP_BYTES = 6_000_000, 2_000_000
_MOST_FRAMES, _MOST_COLUMNS, _STRIP_ROWS = 60, 12, 6
_GIF_EDGE = 640  # pixels at most
_CAPTION = 18  # height in pixels
_INK, _GROUND = 235, 24  # gray levels of captions


def frames(run: Run, *, warn: Callable[[str], None]) -> dict[int, Tensor]:
    """The images (N, C, H, W) uint8 of each of at most sixty grids, by epoch; from the same latents.

    Raises:
        RunError: the run has no grid yet, or none that can be read.
    """
    if not run.sample_grids:
        raise RunError(f"{run.path} has no samples yet ({run.path / 'samples'} is empty): train it further first")
    found: dict[int, Tensor] = {}
    for epoch in evenly(run.sample_grids, _MOST_FRAMES):
        images = read_grid(run.sample_grids[epoch], run.image_shape)
        if images is None:
            warn(f"{run.sample_grids[epoch]} cannot be read and is left out")
        else:
            found[epoch] = images
    if not found:
        raise RunError(f"none of the sample grids in {run.path / 'samples'} can be read: train the run again")
    return found


def strip(grids: Mapping[int, Tensor]) -> bytes:
    """A PNG of at most 2 MB: a column an epoch (at most twelve), each row is one latent through training."""

    def make(rows: int) -> bytes:
        epochs = evenly(grids, _MOST_COLUMNS)
        num = min(rows, min(len(grids[epoch]) for epoch in epochs))
        tiles = torch.stack([grids[epoch][row] for row in range(num) for epoch in epochs])
        image = grid(shrunk(tiles), columns=len(epochs))
        width = (image.shape[2] + 2) // len(epochs)
        names = {i * width: f"{epoch}" if i else f"epoch {epoch}" for i, epoch in enumerate(epochs)}
        return as_png(_below_captions(image, names))

    return within(STRIP_BYTES, range(_STRIP_ROWS, 0, -1), make)


def animation(grids: Mapping[int, Tensor]) -> bytes:
    """A GIF of at most 6 MB and 640 pixels: the grid at each epoch, the last one shown for two seconds."""

    def make(num: int) -> bytes:
        frames = [_frame(grids[epoch], epoch) for epoch in evenly(grids, num)]
        times = [max(80, min(400, 6000 // len(frames)))] * (len(frames) - 1) + [2000]
        return as_gif(frames, times)

    one_frame = len(as_gif([_frame(grids[max(grids)], max(grids))], [2000]))
    most = max(1, min(_MOST_FRAMES, len(grids), GIF_BYTES // one_frame))
    return within(GIF_BYTES, (most, max(1, 3 * most // 4), max(1, most // 2), 1), make)


def as_gif(frames: Sequence[Image.Image], times: Sequence[int]) -> bytes:
    """An endless animation of frames, resized to the largest, each shown for its time in milliseconds."""
    largest = (max(one.width for one in frames), max(one.height for one in frames))
    alike = [one if one.size == largest else one.resize(largest) for one in frames]
    flat = [one if one.mode == "L" else one.quantize(256, dither=Image.Dither.NONE) for one in alike]
    buffer = io.BytesIO()
    flat[0].save(buffer, format="GIF", save_all=True, append_images=flat[1:], duration=list(times), loop=0)
    return buffer.getvalue()


def _frame(images: Tensor, epoch: int) -> Image.Image:
    """One grid, as large as fits, with its epoch above."""
    width = images.shape[3]
    columns = 10 if len(images) % 10 == 0 else None
    across = columns or 1
    size = max(1, min(round(64 / width), _GIF_EDGE // (across * (width + 1))))
    image = grid(images, columns=columns, pixel_size=size, gap=2 if size > 1 else 1)
    drawn = Image.fromarray(as_array(_below_captions(image, {2: f"epoch {epoch}"})))
    if max(drawn.size) > _GIF_EDGE:
        scale = _GIF_EDGE / max(drawn.size)
        drawn = drawn.resize((round(drawn.width * scale), round(drawn.height * scale)), Image.Resampling.BICUBIC)
    return drawn


def _below_captions(image: Tensor, captions: Mapping[int, str]) -> Tensor:
    """The image (C, H, W) with a line of text above it, each caption at its distance from the left."""
    channels, _, width = image.shape
    line = Image.new("L", (width, _CAPTION), _GROUND)
    drawing, font = ImageDraw.Draw(line), ImageFont.load_default(size=12)
    for left, text in captions.items():
        drawing.text((left + 2, 2), text, fill=_INK, font=font)
    above = torch.frombuffer(bytearray(line.tobytes()), dtype=torch.uint8).view(1, _CAPTION, width)
    return torch.cat([above.expand(channels, -1, -1), image], dim=1)

"""The galleries of `improved-gan sample`: --interpolation, --training-gif and --nearest-real.

Interpolation between latents shows whether the generator's output changes smoothly with its input. Latents drawn
uniformly from a box are joined by straight lines: the box is convex, so every point of the line is one that could have
been drawn; an arc about the origin would leave the box. Latents drawn from a normal distribution are joined along the
arc between them: in many dimensions they lie near a sphere, and the middle of a straight line would be shorter by a
factor of 1.4 than the latents in training (White, 2016, "Sampling Generative Networks").

`draw_nearest` shows samples next to the real images nearest to them, class by class.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from improved_gan.data.dataset import Dataset, to_float01
from improved_gan.io import write_atomically
from improved_gan.modes import in_mode
from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.reports import samples_over_time
from improved_gan.reports.image_encoding import as_array, as_png, shrunk, within
from improved_gan.reports.training_neighbors import nearest_images
from improved_gan.runs import Networks, Run
from improved_gan.training.errors import RunError
from improved_gan.training.sampling import grid, sample, to_uint8

__all__ = [
    "BYTES",
    "PATHS",
    "PATH_CHOICES",
    "Block",
    "Row",
    "draw",
    "draw_interpolation",
    "draw_nearest",
    "draw_training",
    "generate",
    "latent_path",
    "linear",
    "path_for",
    "rows_by_class",
    "spherical",
]


_PROBED = 4096


def linear(start: Tensor, end: Tensor, num: int) -> Tensor:
    """(num, Z) from start (Z,) to end (Z,) in equal steps, both included.

    >>> linear(torch.zeros(1), torch.ones(1), 3).flatten().tolist()
    [0.0, 0.5, 1.0]
    """
    fraction = torch.linspace(0, 1, num, dtype=start.dtype)[:, None]
    return (1 - fraction) * start + fraction * end


def spherical(start: Tensor, end: Tensor, num: int) -> Tensor:
    """(num, Z) in equal angles from start (Z,) to end (Z,); lengths in between change in equal steps.

    Directions that are alike or opposite have no arc of their own: they are joined by a straight line.

    >>> spherical(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 3).norm(dim=1)
    tensor([1.0000, 1.0000, 1.0000])
    """
    lengths = start.norm(), end.norm()
    cosine = torch.dot(start, end) / (lengths[0] * lengths[1])
    if not abs(cosine) < 1 - 1e-6:  # also where a length is 0
        return linear(start, end, num)
    angle = torch.arccos(cosine)
    fraction = torch.linspace(0, 1, num, dtype=start.dtype)[:, None]
    arc = torch.sin((1 - fraction) * angle) * start / lengths[0] + torch.sin(fraction * angle) * end / lengths[1]
    path: Tensor = ((1 - fraction) * lengths[0] + fraction * lengths[1]) * arc / torch.sin(angle)
    return path


PATHS = {"linear": linear, "spherical": spherical}


def path_for(generator: Generator) -> str:
    """The path that fits the distribution of the latents, by the kurtosis of 4096 draws.

    The fourth moment over the square of the second, about the mean, is 1.8 for a uniform distribution, 3 for a normal.
    """
    values = generator.draw_latents(_PROBED, source=torch.Generator().manual_seed(0)).double().cpu()
    centered = values - values.mean(0)
    kurtosis = centered.pow(4).mean() / centered.pow(2).mean().square()
    return "linear" if kurtosis < 2.4 else "spherical"


def latent_path(generator: Generator, *, path: str, num_paths: int, steps: int, seed: int) -> Tensor:
    """(num_paths * steps, Z) on the CPU: each path starts at the end of the one before, the first at the last.

    Args:
        generator: draws the latents.
        path: a name of `PATHS`.
        num_paths: how many paths.
        steps: points of each path, its ends included.
        seed: seed of the latents.
    """
    latents = generator.draw_latents(num_paths, source=torch.Generator().manual_seed(seed)).cpu()
    flat = latents.flatten(1)
    ends = flat.roll(-1, 0)
    paths = torch.cat([PATHS[path](start, end, steps) for start, end in zip(flat, ends, strict=True)])
    return paths.view(-1, *latents.shape[1:])


@torch.no_grad()
def generate(generator: Generator, latents: Tensor, *, device: torch.device | str, batch: int = 64) -> Tensor:
    """Images (N, C, H, W) uint8 of latents (N, Z), in evaluation mode, on the CPU."""
    with in_mode(generator, training=False):
        return torch.cat([to_uint8(generator(some.to(device))) for some in torch.split(latents, batch)])


BYTES = 2_000_000
_MOST_ROWS, _NEAREST, _BLOCKS = 25, 3, 4
_CHOICES = ((4, 128), (2, 128), (4, 64), (2, 64), (2, 32))  # blocks of a row, longest side of an image
_GAP, _BLOCK_GAP, _HEAD = 2, 14, 20
_INK, _GROUND = 235, 24
_BATCH = 256


@dataclass(frozen=True)
class Block:
    """A sample (C, H, W) and the real images (k, C, H, W) nearest to it, nearest first; uint8."""

    sample: Tensor
    real: Tensor


@dataclass(frozen=True)
class Row:
    """Blocks of one class; none if no sample was classified as this class."""

    name: str
    blocks: tuple[Block, ...]


def rows_by_class(samples: Tensor, discriminator: Discriminator | None, data: Dataset, *, device: str) -> list[Row]:
    """For each class the first samples classified as this class, with the nearest real images of the class.

    The labels of the data only select real images to show; nothing is trained with them.

    Args:
        samples: (N, C, H, W) uint8.
        discriminator: the classifier; None for a run without labels: then the nearest of all real images are shown.
        data: the run's data; of more than 25 classes, the 25 most frequent among the samples are shown.
        device: device of the discriminator.
    """
    training = data.train
    predicted = None if discriminator is None else _classes(discriminator, samples, device)
    if predicted is None:
        shown = samples[: 10 * _BLOCKS]
        blocks = _blocks(shown, training.images)
        return [Row("", tuple(blocks[start : start + _BLOCKS])) for start in range(0, len(blocks), _BLOCKS)]
    counts = torch.bincount(predicted, minlength=len(data.class_names))
    chosen = counts.argsort(descending=True, stable=True)[:_MOST_ROWS].sort().values.tolist()
    rows = []
    for one in chosen:
        mine = samples[predicted == one][:_BLOCKS]
        real = training.images[training.labels == one]
        blocks = _blocks(mine, real if len(real) else training.images) if len(mine) else []
        rows.append(Row(data.class_names[one], tuple(blocks)))
    return rows


def draw(rows: Sequence[Row], image_shape: Sequence[int]) -> bytes:
    """A PNG of at most 2 MB: one row per class, with framed samples, each followed by its nearest real images."""

    def make(choice: int) -> bytes:
        num_blocks, edge = _CHOICES[choice]
        small = [
            Row(
                row.name,
                tuple(Block(shrunk(block.sample[None], edge)[0], shrunk(block.real, edge)) for block in row.blocks),
            )
            for row in rows
        ]
        tile = shrunk(torch.zeros(1, *image_shape, dtype=torch.uint8), edge)
        most = max((len(row.blocks) for row in small), default=1)
        buffer = io.BytesIO()
        _drawn(small, tuple(tile.shape[1:]), min(num_blocks, max(1, most))).save(buffer, format="PNG")
        return buffer.getvalue()

    return within(BYTES, range(len(_CHOICES)), make)


def _drawn(rows: Sequence[Row], shape: tuple[int, ...], num_blocks: int) -> Image.Image:
    size = max(1, round(64 / shape[2]))
    font = ImageFont.load_default(size=13)
    margin = round(max((font.getlength(row.name) for row in rows), default=0)) + 10 if any(r.name for r in rows) else 4
    near = max((len(block.real) for row in rows for block in row.blocks), default=_NEAREST)
    tile_height, tile_width = shape[1] * size + _GAP, shape[2] * size + _GAP
    block_width = (1 + near) * tile_width + _BLOCK_GAP
    row_height = tile_height + 2 * _GAP
    mode = "L" if shape[0] == 1 else "RGB"
    ground, ink = (_GROUND, _INK) if mode == "L" else ((_GROUND,) * 3, (_INK,) * 3)
    sheet = Image.new(mode, (margin + num_blocks * block_width, _HEAD + len(rows) * row_height), ground)
    drawing = ImageDraw.Draw(sheet)
    for place in range(num_blocks):
        drawing.text((margin + place * block_width + 2, 2), "sample | nearest real", fill=ink, font=font)
    for line, row in enumerate(rows):
        top = _HEAD + line * row_height + _GAP
        drawing.text((4, top + tile_height // 2 - 8), row.name, fill=ink, font=font)
        for place, block in enumerate(row.blocks[:num_blocks]):
            left = margin + place * block_width + _GAP
            drawing.rectangle((left - 2, top - 2, left + tile_width - 1, top + tile_height - 1), outline=ink, width=2)
            for number, image in enumerate([block.sample, *block.real]):
                gap = 2 * _GAP if number else 0
                sheet.paste(_enlarged(image, size), (left + number * tile_width + gap, top))
    return sheet


def _enlarged(image: Tensor, size: int) -> Image.Image:
    array = as_array(image)
    return Image.fromarray(np.repeat(np.repeat(array, size, 0), size, 1))


def _blocks(samples: Tensor, real: Tensor) -> list[Block]:
    found = nearest_images(samples, real, k=min(_NEAREST, len(real))).indices
    return [Block(sample, real[indices]) for sample, indices in zip(samples, found, strict=True)]


@torch.no_grad()
def _classes(discriminator: Discriminator, samples: Tensor, device: str) -> Tensor | None:
    """(N,) predicted class of each sample; None if the discriminator has no class outputs."""
    parts = []
    for some in torch.split(samples, _BATCH):
        logits = discriminator(to_float01(some.to(device))).logits
        if logits.dim() != 2 or logits.shape[1] < 2:
            return None
        parts.append(logits.argmax(1).cpu())
    return torch.cat(parts)


PATH_CHOICES = ("auto", *PATHS)
_PATHS, _STEPS, _GIF_STEPS = 8, 10, 12
_GIF_WIDTH = 256  # least width in pixels of an image in interpolation.gif
_POOL = 1000  # samples drawn; the first ones of each class are shown


def draw_interpolation(networks: Networks, out: Path, *, path: str, seed: int) -> str:
    """Write `interpolation.png` (eight paths, one row each; at most 2 MB) and `interpolation.gif` (at most 6 MB).

    Returns:
        A line that names what was written.

    Raises:
        RunError: no such path.
    """
    if path not in PATH_CHOICES:
        raise RunError(f"there is no path {path!r} between latents: take one of {', '.join(PATH_CHOICES)}")
    generator = networks.generator
    device = next(generator.parameters()).device
    chosen = path_for(generator) if path == "auto" else path

    def make_grid(rows: int) -> bytes:
        latents = latent_path(generator, path=chosen, num_paths=rows, steps=_STEPS, seed=seed)
        return as_png(grid(shrunk(generate(generator, latents, device=device)), columns=_STEPS))

    def make_gif(num: int) -> bytes:
        latents = latent_path(generator, path=chosen, num_paths=num, steps=_GIF_STEPS, seed=seed)
        images = shrunk(generate(generator, latents, device=device))
        size = max(1, round(_GIF_WIDTH / images.shape[3]))
        frames = [Image.fromarray(as_array(image)) for image in images]
        larger = [one.resize((one.width * size, one.height * size), Image.Resampling.NEAREST) for one in frames]
        return samples_over_time.as_gif(larger, [80] * len(larger))

    _write(out / "interpolation.png", within(samples_over_time.STRIP_BYTES, (_PATHS, 6, 4, 3, 2), make_grid))
    _write(out / "interpolation.gif", within(samples_over_time.GIF_BYTES, (_PATHS, 4, 2), make_gif))
    files = f"{out / 'interpolation.png'}, {out / 'interpolation.gif'}"
    return f"{chosen} interpolations between latents: {files} (seed {seed})"


def draw_training(run: Run, out: Path, *, warn: Callable[[str], None]) -> str:
    """Write `training.png` (at most 2 MB) and `training.gif` (at most 6 MB) from the run's sample grids.

    Raises:
        RunError: the run has no sample grid yet.
    """
    frames = samples_over_time.frames(run, warn=warn)
    _write(out / "training.png", samples_over_time.strip(frames))
    _write(out / "training.gif", samples_over_time.animation(frames))
    files = f"{out / 'training.png'}, {out / 'training.gif'}"
    return f"training in {len(frames)} grids, epoch {min(frames)} to {max(frames)}: {files}"


def draw_nearest(run: Run, networks: Networks, out: Path, *, data: Dataset, seed: int, device: str) -> str:
    """Write `nearest.png` (at most 2 MB): samples of each class, each next to the nearest real images of its class."""
    classifier = networks.discriminator if run.log.learned_classes and len(networks.run.class_names) > 1 else None
    rows = rows_by_class(sample(networks.generator, _POOL, seed=seed), classifier, data, device=device)
    _write(out / "nearest.png", draw(rows, networks.run.image_shape))
    kind = "of their class " if classifier else ""
    return f"samples next to the nearest real images {kind}in {out / 'nearest.png'} (seed {seed}, by pixels)"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content, durable=False)

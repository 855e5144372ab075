"""Samples next to the real images nearest to them, class by class."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from improved_gan.data import Dataset
from improved_gan.data.dataset import to_float01
from improved_gan.networks import Discriminator
from improved_gan.reports.image_encoding import as_array, shrunk, within
from improved_gan.reports.training_neighbors import nearest_images

__all__ = ["BYTES", "Block", "Row", "draw", "rows_by_class"]

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

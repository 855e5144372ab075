"""Images from a generator: single PNGs and grids, written atomically."""

import io
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from improved_gan.io import write_atomically
from improved_gan.kernels.precision import precise
from improved_gan.modes import in_mode
from improved_gan.networks.interface import Generator, generate_in_batches
from improved_gan.techniques.weight_ema import WeightEMA

__all__ = ["ema_generator", "grid", "sample", "to_uint8", "write_png"]

_STATISTICS_BATCHES, _STATISTICS_SIZE = 50, 100  # with momentum 0.1, 0.9^50 = 0.5% of the old statistics is left


@torch.no_grad()
def sample(generator: Generator, num: int, *, seed: int) -> Tensor:
    """Images from latents that depend on the seed alone, in evaluation mode.

    The global random state and each module's mode are restored.

    Args:
        generator: any generator.
        num: number of images, >= 1.
        seed: of the latents.

    Returns:
        (num, C, H, W) uint8 on the CPU.
    """
    source = torch.Generator().manual_seed(seed)
    latents = generator.draw_latents(num, source=source)
    with in_mode(generator, training=False):
        return torch.cat([to_uint8(images) for images in generate_in_batches(generator, latents)])


@torch.no_grad()
def ema_generator(generator: Generator, average: WeightEMA) -> Generator:
    """A copy with averaged weights, whose batch norm statistics, if any, are recomputed for these weights.

    The global random state is restored. Frozen batch norm (in evaluation mode while the generator trains) keeps its
    statistics.
    """
    result = average.averaged(generator)
    assert isinstance(result, Generator)
    if not any(name.endswith("running_mean") for name, _ in result.named_buffers()):
        return result
    source = torch.Generator().manual_seed(0)
    with in_mode(result, training=True), torch.random.fork_rng():
        for _ in range(_STATISTICS_BATCHES):
            result(result.draw_latents(_STATISTICS_SIZE, source=source))
    return result


def to_uint8(images: Tensor) -> Tensor:
    """(N, C, H, W) in [0, 1] to uint8 0..255 on the CPU, rounded.

    >>> to_uint8(torch.tensor([0.0, 0.5, 1.0]))
    tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return precise(images.detach()).mul(255).round().clamp(0, 255).to("cpu", torch.uint8)


def grid(images: Tensor, *, columns: int | None = None, pixel_size: int | None = None, gap: int = 2) -> Tensor:
    """Many images in one, enlarged without smoothing.

    Args:
        images: (N, C, H, W) uint8, N >= 1.
        columns: default: as square as possible.
        pixel_size: edge in screen pixels of one image pixel; default: images become about 64 pixels wide.
        gap: width of the dark lines between images, in screen pixels.

    Returns:
        (C, H', W') uint8.

    >>> grid(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), pixel_size=1, gap=2).shape
    torch.Size([1, 18, 18])
    """
    num, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(num))
    size = pixel_size or max(1, round(64 / width))
    tiles = images.repeat_interleave(size, 2).repeat_interleave(size, 3)
    rows = math.ceil(num / columns)
    row_step, column_step = height * size + gap, width * size + gap
    canvas = torch.full((channels, rows * row_step - gap, columns * column_step - gap), 32, dtype=torch.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * row_step, index % columns * column_step
        canvas[:, top : top + height * size, left : left + width * size] = tile
    return canvas


def write_png(path: Path, image: Tensor) -> None:
    """Write (C, H, W) uint8, C 1 or 3, as a PNG."""
    array = image.squeeze(0).numpy() if image.shape[0] == 1 else image.permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(buffer, format="PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue(), durable=False)

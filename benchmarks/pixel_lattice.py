"""How exactly `estimate_pixel_layout` finds where the pixels of MNIST lie, from images whose pixels were shuffled.

    python benchmarks/pixel_lattice.py --data DIR [--images 60000] [--picture FILE.png]

Prints how many pixels are placed, how far from where they are (after the best of the eight ways in which a square can
lie), and seconds; draws digits as they are, shuffled, and put where their pixels were found to lie.
"""

import argparse
import itertools
import time
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from improved_gan.data import load_mnist
from improved_gan.label_spreading import estimate_pixel_layout, grid_positions
from improved_gan.label_spreading.layout_conv import PixelLayout

SIDE, SHOWN, ENLARGED = 28, 14, 3


def offsets(found: Tensor, true: Tensor) -> Tensor:
    """(A,) how far pixels are from where they lie."""
    ways: list[Tensor] = []
    for axes, signs in itertools.product(((0, 1), (1, 0)), itertools.product((1, -1), repeat=2)):
        steps = found - true[:, list(axes)] * torch.tensor(signs)
        ways.append((steps - steps.median(0).values).norm(dim=1))
    return min(ways, key=lambda distances: float(distances.mean()))


def picture(rows: list[Tensor]) -> Image.Image:
    """Rows of digits, one under the other."""
    pixels = torch.cat([torch.cat(list(row), 1) for row in rows])
    drawn = Image.fromarray((255 - 255 * pixels.clamp(0, 1)).to(torch.uint8).numpy())
    return drawn.resize((ENLARGED * drawn.width, ENLARGED * drawn.height), Image.Resampling.NEAREST)


def main() -> None:
    """Parse, shuffle, find, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = load_mnist(options.data).train.images[: options.images].flatten(1)
    order = torch.randperm(SIDE**2, generator=torch.Generator().manual_seed(options.seed))
    shuffled = images[:, order]
    begin = time.process_time()
    found = estimate_pixel_layout(shuffled)
    seconds = time.process_time() - begin
    placed = found.isfinite().all(1)
    distances = offsets(found[placed], grid_positions(SIDE, SIDE)[order][placed])
    print(f"{len(images):,} images: {int(placed.sum())} of {SIDE**2} pixels placed in {seconds:.1f} CPU seconds")
    print(
        f"{float((distances < 0.05).float().mean()):.1%} where they are, {distances.mean():.2f} pixels off on average"
    )
    print(f"at most {distances.max():.1f} off")
    if options.picture:
        layout = PixelLayout(SIDE, SIDE)
        layout.set_pixel_layout_(found)
        some = shuffled[:SHOWN].float().reshape(-1, 1, SIDE, SIDE) / 255
        rows = [images[:SHOWN].float().reshape(-1, SIDE, SIDE) / 255, some[:, 0], layout(some)[:, 0]]
        picture(rows).save(options.picture, optimize=True)


if __name__ == "__main__":
    main()

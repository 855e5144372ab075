"""The accuracy of `estimate_pixel_layout` on MNIST with permuted pixels.

    python benchmarks/pixel_lattice.py --data DIR [--images 60000] [--grid FILE.png]

Prints the number of pixels with a position, their distance from the true ones (after the best of the eight symmetries
of the square), and seconds; writes digits in the original order, permuted, and re-ordered by the estimated layout.
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
    """(A,) distances of the pixels from their true positions."""
    ways: list[Tensor] = []
    for axes, signs in itertools.product(((0, 1), (1, 0)), itertools.product((1, -1), repeat=2)):
        steps = found - true[:, list(axes)] * torch.tensor(signs)
        ways.append((steps - steps.median(0).values).norm(dim=1))
    return min(ways, key=lambda distances: float(distances.mean()))


def image_grid(rows: list[Tensor]) -> Image.Image:
    """Rows of digits, one below the other."""
    pixels = torch.cat([torch.cat(list(row), 1) for row in rows])
    drawn = Image.fromarray((255 - 255 * pixels.clamp(0, 1)).to(torch.uint8).numpy())
    return drawn.resize((ENLARGED * drawn.width, ENLARGED * drawn.height), Image.Resampling.NEAREST)


def main() -> None:
    """Parse the arguments, permute, estimate, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--grid", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = load_mnist(options.data).train.images[: options.images].flatten(1)
    order = torch.randperm(SIDE**2, generator=torch.Generator().manual_seed(options.seed))
    shuffled = images[:, order]
    begin = time.process_time()
    found = estimate_pixel_layout(shuffled)
    seconds = time.process_time() - begin
    finite = found.isfinite().all(1)
    distances = offsets(found[finite], grid_positions(SIDE, SIDE)[order][finite])
    print(f"{len(images):,} images: {int(finite.sum())} of {SIDE**2} pixels have positions; {seconds:.1f} CPU seconds")
    print(f"{float((distances < 0.05).float().mean()):.1%} are exact; mean distance {distances.mean():.2f} pixels")
    print(f"largest distance {distances.max():.1f}")
    if options.grid:
        layout = PixelLayout(SIDE, SIDE)
        layout.set_pixel_layout_(found)
        some = shuffled[:SHOWN].float().reshape(-1, 1, SIDE, SIDE) / 255
        rows = [images[:SHOWN].float().reshape(-1, SIDE, SIDE) / 255, some[:, 0], layout(some)[:, 0]]
        image_grid(rows).save(options.grid, optimize=True)


if __name__ == "__main__":
    main()

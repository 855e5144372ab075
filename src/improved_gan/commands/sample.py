"""`improved-gan sample`: images from a trained generator, one PNG each, and a grid."""

from functools import partial
from pathlib import Path

from rich.console import Console

from improved_gan.recipes.trained import choose_device, load_trained
from improved_gan.training.errors import RunError
from improved_gan.training.reporting import say, warn
from improved_gan.training.sampling import grid, sample, write_png

__all__ = ["run_sampling"]

_MOST_IN_GRID = 400


def run_sampling(run: Path, *, num: int, out: Path, seed: int, device: str | None, console: Console) -> None:
    """Write `num` images 00000.png ... into `out/images`, and `out/grid.png` of the first 400.

    Raises:
        RunError: no trained run, or `out` holds something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is there and not empty: samples of several runs would mix; give another --out")
    trained = load_trained(run, device=choose_device(device), warn=partial(warn, console))
    images = sample(trained.generator, num, seed=seed)
    digits = max(5, len(str(num - 1)))
    for index, image in enumerate(images):
        write_png(out / "images" / f"{index:0{digits}d}.png", image)
    write_png(out / "grid.png", grid(images[:_MOST_IN_GRID]))
    say(console, f"{num} images in {out / 'images'}, a grid in {out / 'grid.png'} (seed {seed}, step {trained.step})")

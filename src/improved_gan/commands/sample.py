"""`improved-gan sample`: images from a trained generator, one PNG each, and a grid; or galleries in their place."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from improved_gan.commands.galleries import PATH_CHOICES, draw_film, draw_nearest, draw_walks
from improved_gan.commands.trust import trust_or_ask
from improved_gan.recipes.load_run import Trained, choose_device, load_trained
from improved_gan.recipes.own_code import Trust
from improved_gan.reports.evaluate_run import find_data
from improved_gan.reports.run_log import read_run
from improved_gan.reports.training_animation import frames
from improved_gan.training.errors import RunError
from improved_gan.training.reporting import say, warn
from improved_gan.training.sampling import grid, sample, write_png

__all__ = ["Galleries", "run_sampling"]

_MOST_IN_GRID = 400
_DEFAULT_NUM = 100


@dataclass(frozen=True)
class Galleries:
    """Which pictures are wanted beside or in place of single images.

    Args:
        interpolate: walks between latents, along `path`.
        film: the training, from the run's grids.
        nearest: samples beside real images, which need `data`.
        path: "auto", "linear" or "spherical".
        data: folder with the data; None looks where `train` does, without a download.
    """

    interpolate: bool = False
    film: bool = False
    nearest: bool = False
    path: str = "auto"
    data: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether any is."""
        return self.interpolate or self.film or self.nearest


def run_sampling(
    run: Path,
    *,
    num: int | None,
    out: Path,
    seed: int,
    device: str | None,
    console: Console,
    galleries: Galleries = Galleries(),
    trust: bool = False,
) -> None:
    """Write `num` images 00000.png ... into `out/images`, and `out/grid.png` of the first 400; then the galleries.

    Args:
        run: the run folder.
        num: how many images; None: 100, and none where galleries are wanted.
        out: new or empty.
        seed: of the latents.
        device: where the generator runs.
        console: where to print.
        galleries: see there.
        trust: execute the recipe file that the run keeps, where it was made from one.

    Raises:
        RunError: no trained run, no samples for a film, or `out` holds something already; nothing is written.
        DataError: the data for `nearest` is not at hand; nothing is written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is there and not empty: samples of several runs would mix; give another --out")
    num = num if num is not None or galleries.wanted else _DEFAULT_NUM
    trusted = trust_or_ask(console, trust=trust)
    _check(run, galleries, trusted)
    chosen = choose_device(device)
    if num or galleries.interpolate or galleries.nearest:  # a film needs no networks
        trained = load_trained(run, device=chosen, warn=partial(warn, console), trust=trusted)
        if num:
            _write_images(trained, num, out, seed, console)
        if galleries.interpolate:
            say(console, draw_walks(trained, out, path=galleries.path, seed=seed))
        if galleries.nearest:
            data = find_data(read_run(run), galleries.data, trust=trusted)
            say(console, draw_nearest(read_run(run), trained, out, data=data, seed=seed, device=chosen))
    if galleries.film:
        say(console, draw_film(read_run(run), out, warn=partial(warn, console)))


def _check(run: Path, galleries: Galleries, trust: Trust) -> None:
    """What is asked for fits, before anything is written."""
    if galleries.data is not None and not galleries.nearest:
        raise RunError("--data is for --nearest-real alone: give both or none")
    if galleries.path not in PATH_CHOICES:
        raise RunError(f"there is no path {galleries.path!r} between latents: take one of {', '.join(PATH_CHOICES)}")
    if galleries.path != "auto" and not galleries.interpolate:
        raise RunError("--path is for --interpolation alone: give both or none")
    if galleries.film:
        frames(read_run(run), warn=lambda _: None)
    if galleries.nearest:
        find_data(read_run(run), galleries.data, trust=trust)


def _write_images(trained: Trained, num: int, out: Path, seed: int, console: Console) -> None:
    images = sample(trained.generator, num, seed=seed)
    digits = max(5, len(str(num - 1)))
    for index, image in enumerate(images):
        write_png(out / "images" / f"{index:0{digits}d}.png", image)
    write_png(out / "grid.png", grid(images[:_MOST_IN_GRID]))
    say(console, f"{num} images in {out / 'images'}, a grid in {out / 'grid.png'} (seed {seed}, step {trained.step})")

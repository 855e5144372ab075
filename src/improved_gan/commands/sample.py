"""`improved-gan sample`: samples of a trained generator as PNG files and a grid; or galleries (see `galleries.py`)."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from improved_gan.commands.galleries import PATH_CHOICES, draw_interpolation, draw_nearest, draw_training
from improved_gan.commands.trust import trust_or_ask
from improved_gan.reports.evaluate_run import find_data
from improved_gan.reports.training_animation import frames
from improved_gan.runs import Networks, Run
from improved_gan.runs.own_code import Trust
from improved_gan.training.errors import RunError
from improved_gan.training.process_group import choose_device
from improved_gan.training.reporting import say, warn
from improved_gan.training.sampling import grid, sample, write_png

__all__ = ["Galleries", "run_sampling"]

_MOST_IN_GRID = 400
_DEFAULT_NUM = 100


@dataclass(frozen=True)
class Galleries:
    """Which galleries to write.

    Args:
        interpolation: interpolations between latents, along `path`.
        training_gif: the samples during training, from the run's sample grids.
        nearest_real: samples next to the nearest real images; needs the data.
        path: "auto", "linear" or "spherical".
        data: folder with the data; None searches where `train` does, without a download.
    """

    interpolation: bool = False
    training_gif: bool = False
    nearest_real: bool = False
    path: str = "auto"
    data: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether any gallery is to be written."""
        return self.interpolation or self.training_gif or self.nearest_real


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
    """Write `num` samples as `out/images/00000.png` ..., the first 400 as `out/grid.png`, and then the galleries.

    Args:
        run: the run folder.
        num: how many images; None: 100, or none if any gallery is to be written.
        out: a new or empty folder.
        seed: seed of the latents.
        device: where the generator runs.
        console: where to print.
        galleries: which galleries to write.
        trust: execute the recipe file stored in the run folder, if the run was made from one.

    Raises:
        RunError: no trained run, no sample grids for the animation, or `out` is not empty; nothing is written.
        DataError: the data for `nearest_real` is not found; nothing is written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is not empty: samples of several runs would be mixed; give another --out")
    num = num if num is not None or galleries.wanted else _DEFAULT_NUM
    trusted = trust_or_ask(console, trust=trust)
    _check(run, galleries, trusted)
    chosen = choose_device(device)
    if num or galleries.interpolation or galleries.nearest_real:  # the animation needs no networks
        networks = Run(run).load(device=chosen, warn=partial(warn, console), trust=trusted)
        if num:
            _write_images(networks, num, out, seed, console)
        if galleries.interpolation:
            say(console, draw_interpolation(networks, out, path=galleries.path, seed=seed))
        if galleries.nearest_real:
            data = find_data(Run(run), galleries.data, trust=trusted)
            say(console, draw_nearest(Run(run), networks, out, data=data, seed=seed, device=chosen))
    if galleries.training_gif:
        say(console, draw_training(Run(run), out, warn=partial(warn, console)))


def _check(run: Path, galleries: Galleries, trust: Trust) -> None:
    """Check the options before anything is written."""
    if galleries.data is not None and not galleries.nearest_real:
        raise RunError("--data is used by --nearest-real only: give both or neither")
    if galleries.path not in PATH_CHOICES:
        raise RunError(f"there is no path {galleries.path!r} between latents: take one of {', '.join(PATH_CHOICES)}")
    if galleries.path != "auto" and not galleries.interpolation:
        raise RunError("--path is used by --interpolation only: give both or neither")
    if galleries.training_gif:
        frames(Run(run), warn=lambda _: None)
    if galleries.nearest_real:
        find_data(Run(run), galleries.data, trust=trust)


def _write_images(networks: Networks, num: int, out: Path, seed: int, console: Console) -> None:
    images = sample(networks.generator, num, seed=seed)
    digits = max(5, len(str(num - 1)))
    for index, image in enumerate(images):
        write_png(out / "images" / f"{index:0{digits}d}.png", image)
    write_png(out / "grid.png", grid(images[:_MOST_IN_GRID]))
    say(console, f"{num} images in {out / 'images'}, a grid in {out / 'grid.png'} (seed {seed}, step {networks.step})")

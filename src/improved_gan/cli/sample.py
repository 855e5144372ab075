"""`improved-gan sample`: samples of a trained generator as PNG files and a grid; or galleries."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from improved_gan.cli.options import option
from improved_gan.cli.shared import MAX_SEED, data_option, device_option, run_argument, trust_option
from improved_gan.cli.trust import trust_or_ask

if TYPE_CHECKING:
    from rich.console import Console

    from improved_gan.runs import Networks
    from improved_gan.runs.own_code import Trust

__all__ = ["SampleOptions", "sample"]

_MOST_IN_GRID = 400
_DEFAULT_NUM = 100


@dataclass(frozen=True)
class SampleOptions:
    """The options of `sample`."""

    run: Path = run_argument()
    out: Path = option(help="New or empty folder for the images.", written="folder")
    num: int | None = option(None, help="Number of single images; default: 100, or none with a gallery option.", min=1)
    seed: int = option(0, help="Seed of the latents: the same seed gives the same images.", min=0, max=MAX_SEED)
    interpolation: bool = option(False, help="Write interpolations between latents: interpolation.png and .gif.")
    path: str = option(
        "auto", help="Interpolation path: linear, spherical, or auto (by the distribution of the latents)."
    )
    training_gif: bool = option(False, help="Write the samples during training: training.png and training.gif.")
    nearest_real: bool = option(False, help="Write samples of each class next to the nearest real images: nearest.png.")
    data: Path | None = data_option("Folder with the data, for --nearest-real; nothing is downloaded.")
    trust: bool = trust_option()
    device: str | None = device_option()

    @property
    def num_single(self) -> int:
        """How many single images are written."""
        if self.num is not None:
            return self.num
        return 0 if self.interpolation or self.training_gif or self.nearest_real else _DEFAULT_NUM


def sample(options: SampleOptions, console: "Console") -> None:
    """Generate samples with a trained generator: single PNG files and a grid, or one of the galleries.

    Example: `improved-gan sample runs/demo/gan/split-1-seed-1 --num 1000 --out samples`.
    """
    from improved_gan.console import say, warn
    from improved_gan.reports.evaluate_run import find_data
    from improved_gan.reports.galleries import draw_interpolation, draw_nearest, draw_training
    from improved_gan.runs import Run
    from improved_gan.training.process_group import choose_device

    run, out, seed = Run(options.run), options.out, options.seed
    trusted, told = trust_or_ask(console, trust=options.trust), partial(warn, console)
    _check(options, trusted)
    device = choose_device(options.device)
    if options.num_single or options.interpolation or options.nearest_real:  # the animation needs no networks
        networks = run.load(device=device, warn=told, trust=trusted)
        if options.num_single:
            _write_images(networks, options.num_single, out, seed, console)
        if options.interpolation:
            say(console, draw_interpolation(networks, out, path=options.path, seed=seed))
        if options.nearest_real:
            data = find_data(run, options.data, trust=trusted)
            say(console, draw_nearest(run, networks, out, data=data, seed=seed, device=device))
    if options.training_gif:
        say(console, draw_training(run, out, warn=told))


def _check(options: SampleOptions, trust: "Trust") -> None:
    """Check the options before anything is written.

    Raises:
        RunError: `out` is not empty, an option is used without the one it belongs to, or there are no sample grids.
        DataError: the data for `nearest_real` is not found.
    """
    from improved_gan.reports.evaluate_run import find_data
    from improved_gan.reports.galleries import PATH_CHOICES
    from improved_gan.reports.samples_over_time import frames
    from improved_gan.runs import Run
    from improved_gan.training.errors import RunError

    out, path = options.out, options.path
    if not (run := Run(options.run)).has_generator:
        raise RunError(f"{run.path} trains no GAN (recipe {run.settings['recipe']}): it has no samples")
    if run.embedding is not None:
        raise RunError(f"{run.path} generates embeddings, not images: improved-gan report shows the images near them")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is not empty: samples of several runs would be mixed; give another --out")
    if options.data is not None and not options.nearest_real:
        raise RunError("--data is used by --nearest-real only: give both or neither")
    if path not in PATH_CHOICES:
        raise RunError(f"there is no path {path!r} between latents: take one of {', '.join(PATH_CHOICES)}")
    if path != "auto" and not options.interpolation:
        raise RunError("--path is used by --interpolation only: give both or neither")
    if options.training_gif:
        frames(Run(options.run), warn=lambda _: None)
    if options.nearest_real:
        find_data(Run(options.run), options.data, trust=trust)


def _write_images(networks: "Networks", num: int, out: Path, seed: int, console: "Console") -> None:
    from improved_gan.console import say
    from improved_gan.training.sampling import grid, write_png
    from improved_gan.training.sampling import sample as draw_samples

    images = draw_samples(networks.generator, num, seed=seed)
    digits = max(5, len(str(num - 1)))
    for index, image in enumerate(images):
        write_png(out / "images" / f"{index:0{digits}d}.png", image)
    write_png(out / "grid.png", grid(images[:_MOST_IN_GRID]))
    say(console, f"{num} images in {out / 'images'}, a grid in {out / 'grid.png'} (seed {seed}, step {networks.step})")

"""The galleries of `improved-gan sample`: --interpolation, --training-gif and --nearest-real."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from improved_gan.data import Dataset
from improved_gan.recipes.load_run import Trained
from improved_gan.reports import latent_interpolation, training_animation
from improved_gan.reports.image_encoding import as_array, as_png, shrunk, within
from improved_gan.reports.nearest_real import draw, rows_by_class
from improved_gan.reports.run_log import RunRecord
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.errors import RunError
from improved_gan.training.sampling import grid, sample

__all__ = ["PATH_CHOICES", "draw_interpolation", "draw_nearest", "draw_training"]

PATH_CHOICES = ("auto", *latent_interpolation.PATHS)
_PATHS, _STEPS, _GIF_STEPS = 8, 10, 12
_GIF_WIDTH = 256  # least width in pixels of an image in interpolation.gif
_POOL = 1000  # samples drawn; the first ones of each class are shown


def draw_interpolation(trained: Trained, out: Path, *, path: str, seed: int) -> str:
    """Write `interpolation.png` (eight paths, one row each; at most 2 MB) and `interpolation.gif` (at most 6 MB).

    Returns:
        A line that names what was written.

    Raises:
        RunError: no such path.
    """
    if path not in PATH_CHOICES:
        raise RunError(f"there is no path {path!r} between latents: take one of {', '.join(PATH_CHOICES)}")
    generator = trained.generator
    device = next(generator.parameters()).device
    chosen = latent_interpolation.path_for(generator) if path == "auto" else path

    def make_grid(rows: int) -> bytes:
        latents = latent_interpolation.latent_path(generator, path=chosen, num_paths=rows, steps=_STEPS, seed=seed)
        return as_png(grid(shrunk(latent_interpolation.generate(generator, latents, device=device)), columns=_STEPS))

    def make_gif(num: int) -> bytes:
        latents = latent_interpolation.latent_path(generator, path=chosen, num_paths=num, steps=_GIF_STEPS, seed=seed)
        images = shrunk(latent_interpolation.generate(generator, latents, device=device))
        size = max(1, round(_GIF_WIDTH / images.shape[3]))
        frames = [Image.fromarray(as_array(image)) for image in images]
        larger = [one.resize((one.width * size, one.height * size), Image.Resampling.NEAREST) for one in frames]
        return training_animation.as_gif(larger, [80] * len(larger))

    _write(out / "interpolation.png", within(training_animation.STRIP_BYTES, (_PATHS, 6, 4, 3, 2), make_grid))
    _write(out / "interpolation.gif", within(training_animation.GIF_BYTES, (_PATHS, 4, 2), make_gif))
    files = f"{out / 'interpolation.png'}, {out / 'interpolation.gif'}"
    return f"{chosen} interpolations between latents: {files} (seed {seed})"


def draw_training(run: RunRecord, out: Path, *, warn: Callable[[str], None]) -> str:
    """Write `training.png` (at most 2 MB) and `training.gif` (at most 6 MB) from the run's sample grids.

    Raises:
        RunError: the run has no sample grid yet.
    """
    frames = training_animation.frames(run, warn=warn)
    _write(out / "training.png", training_animation.strip(frames))
    _write(out / "training.gif", training_animation.animation(frames))
    files = f"{out / 'training.png'}, {out / 'training.gif'}"
    return f"training in {len(frames)} grids, epoch {min(frames)} to {max(frames)}: {files}"


def draw_nearest(run: RunRecord, trained: Trained, out: Path, *, data: Dataset, seed: int, device: str) -> str:
    """Write `nearest.png` (at most 2 MB): samples of each class, each next to the nearest real images of its class."""
    classifier = trained.discriminator if run.learned_classes and len(trained.class_names) > 1 else None
    rows = rows_by_class(sample(trained.generator, _POOL, seed=seed), classifier, data, device=device)
    _write(out / "nearest.png", draw(rows, trained.image_shape))
    kind = "of their class " if classifier else ""
    return f"samples next to the nearest real images {kind}in {out / 'nearest.png'} (seed {seed}, by pixels)"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content, durable=False)

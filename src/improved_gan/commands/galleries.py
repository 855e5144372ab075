"""`improved-gan sample` with --interpolation, --training-gif or --nearest-real: figures that show more than a grid."""

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

__all__ = ["PATH_CHOICES", "draw_film", "draw_nearest", "draw_walks"]

PATH_CHOICES = ("auto", *latent_interpolation.PATHS)
_WALKS, _STEPS, _GIF_STEPS = 8, 10, 12
_GIF_WIDTH = 256  # pixels of the walking image, at least
_POOL = 1000  # samples from which each class takes its first


def draw_walks(trained: Trained, out: Path, *, path: str, seed: int) -> str:
    """Write `interpolation.png` (eight paths, a row each; at most 2 MB) and `interpolation.gif` (at most 6 MB).

    Returns:
        What was written, in words.

    Raises:
        RunError: no such path.
    """
    if path not in PATH_CHOICES:
        raise RunError(f"there is no path {path!r} between latents: take one of {', '.join(PATH_CHOICES)}")
    generator = trained.generator
    device = next(generator.parameters()).device
    chosen = latent_interpolation.path_for(generator) if path == "auto" else path

    def make_grid(rows: int) -> bytes:
        latents = latent_interpolation.latent_path(generator, path=chosen, walks=rows, steps=_STEPS, seed=seed)
        return as_png(grid(shrunk(latent_interpolation.walk(generator, latents, device=device)), columns=_STEPS))

    def make_gif(num: int) -> bytes:
        latents = latent_interpolation.latent_path(generator, path=chosen, walks=num, steps=_GIF_STEPS, seed=seed)
        images = shrunk(latent_interpolation.walk(generator, latents, device=device))
        size = max(1, round(_GIF_WIDTH / images.shape[3]))
        pictures = [Image.fromarray(as_array(one)) for one in images]
        larger = [one.resize((one.width * size, one.height * size), Image.Resampling.NEAREST) for one in pictures]
        return training_animation.as_gif(larger, [80] * len(larger))

    _write(out / "interpolation.png", within(training_animation.STRIP_BYTES, (_WALKS, 6, 4, 3, 2), make_grid))
    _write(out / "interpolation.gif", within(training_animation.GIF_BYTES, (_WALKS, 4, 2), make_gif))
    return (
        f"{chosen} walks between latents in {out / 'interpolation.png'} and {out / 'interpolation.gif'} (seed {seed})"
    )


def draw_film(run: RunRecord, out: Path, *, warn: Callable[[str], None]) -> str:
    """Write `training_animation.png` (at most 2 MB) and `training_animation.gif` (at most 6 MB) from a run's grids.

    Raises:
        RunError: there are none yet.
    """
    frames = training_animation.frames(run, warn=warn)
    _write(out / "training_animation.png", training_animation.strip(frames))
    _write(out / "training_animation.gif", training_animation.moving_picture(frames))
    files = f"{out / 'training_animation.png'}, {out / 'training_animation.gif'}"
    return f"training in {len(frames)} grids, epoch {min(frames)} to {max(frames)}: {files}"


def draw_nearest(run: RunRecord, trained: Trained, out: Path, *, data: Dataset, seed: int, device: str) -> str:
    """Write `nearest.png` (at most 2 MB): for each class samples, each beside the nearest real images of the class."""
    classifier = trained.discriminator if run.learnt_classes and len(trained.class_names) > 1 else None
    rows = rows_by_class(sample(trained.generator, _POOL, seed=seed), classifier, data, device=device)
    _write(out / "nearest.png", draw(rows, trained.image_shape))
    kind = "of their class " if classifier else ""
    return f"samples beside the nearest real images {kind}in {out / 'nearest.png'} (seed {seed}, by pixels)"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content, durable=False)

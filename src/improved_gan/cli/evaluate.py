"""`improved-gan evaluate`: metrics of a folder, an archive or a run, with the provenance of every number."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from improved_gan.cli.options import argument, option
from improved_gan.cli.shared import MAX_SEED, device_option, threads_option, trust_option, value_range_option

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["EvaluateOptions", "evaluate"]


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of `evaluate`."""

    source: Path = argument(
        metavar="FOLDER|RUN", help="Images: a folder or a zip or tar archive; or a run, whose samples are evaluated."
    )
    reference: Path | None = option(None, help="Real images: a folder, an archive, or a statistics file (.npz).")
    metrics: str | None = option(
        None, help="Comma-separated list of is, fid, kid, precision-recall, nearest, birthday; or all."
    )
    num_splits: int = option(10, help="Splits of the Inception score.", min=1)
    num: int | None = option(None, help="Number of images, drawn at random; for a run: number of samples.", min=1)
    seed: int = option(0, help="Seed of the latents of a run's samples.", min=0, max=MAX_SEED)
    no_shuffle: bool = option(False, help="Form the splits in order of name; default: a fixed random order.")
    classifier: str | None = option(None, help="Network used instead of Inception: a run folder, or module:function.")
    weights: Path | None = option(None, help="Inception weight file; default: from the cache, else a download.")
    precision: str = option("float32", help="Precision of Inception: float32, or bfloat16 (checked on the images).")
    skip_invalid: bool = option(False, help="Skip images that cannot be used.")
    json: Path | None = option(None, help="Write the report to this JSON file.")
    save_statistics: Path | None = option(None, help="Write mean and covariance to this .npz, for --reference.")
    value_range: str | None = value_range_option()
    cache: Path | None = option(None, help="Folder for cached features; default: in the cache.")
    device: str | None = device_option()
    trust: bool = trust_option()
    threads: int | None = threads_option()

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise click.BadParameter(f"take float32 or bfloat16, not {self.precision!r}", param_hint="--precision")


def evaluate(options: EvaluateOptions, console: "Console") -> None:
    """Evaluate images: Inception score, FID, KID, precision and recall, copies of training images, distinct samples.

    The report names the network, its hash, and the preprocessing. Features are cached by image content, so a repeated
    command continues where it stopped. Works under torchrun.

    Example: `improved-gan evaluate samples/images --reference photos --json report.json`.
    """
    from improved_gan.cli.evaluation import run_evaluation

    run_evaluation(options, console)

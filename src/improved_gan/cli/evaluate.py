"""The options of `improved-gan evaluate`, which `cli/evaluation.py` runs; importing them does not import torch."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click

from improved_gan.cli.options import argument, option
from improved_gan.cli.shared import MAX_SEED, device_option, threads_option, trust_option, value_range_option

__all__ = ["EvaluateOptions"]


@dataclass(frozen=True)
class EvaluateOptions:
    """Evaluate images: Inception score, FID, KID, CMMD, precision and recall, density, coverage, Vendi score, copies.

    The report names the network, its hash, and the preprocessing. Features are cached by image content, so a repeated
    command continues where it stopped. Works under torchrun.

    Several sources are compared: intervals of each metric and of the differences, from a bootstrap that resamples
    the reference alike for all.

    Example: `improved-gan evaluate samples/images --reference photos --json report.json`.
    """

    sources: tuple[Path, ...] = argument(
        metavar="FOLDER|FILE|RUN...",
        help="Images: a folder, a zip or tar archive, or an array (.npy, .npz); features or statistics (.npy, .npz); "
        "or a run, whose samples are evaluated. Several are compared.",
    )
    reference: Path | None = option(None, help="Real images: a folder, an archive, or a file of arrays (.npy, .npz).")
    metrics: str | None = option(
        None,
        help="Comma-separated list of is, fid, fid-infinity, kid, cmmd, precision-recall, density-coverage, vendi, "
        "nearest, birthday; or all.",
    )
    num_splits: int = option(10, help="Splits of the Inception score.", min=1)
    num: int | None = option(None, help="Number of images, drawn at random; for a run: number of samples.", min=1)
    seed: int = option(0, help="Seed of the latents of a run's samples.", min=0, max=MAX_SEED)
    no_shuffle: bool = option(False, help="Form the splits in order of name; default: a fixed random order.")
    network: str | None = option(
        None,
        help="inception-2015 (default), dinov2-vitb14, dinov2-vitl14, clip-vitb32, timm:NAME, a file (.onnx, .pt2), a "
        "run folder, or module:function.",
    )
    weights: Path | None = option(None, help="Weight file of the network; default: from the cache.")
    precision: str = option("float32", help="Precision of Inception: float32, or bfloat16 (checked on the images).")
    skip_invalid: bool = option(False, help="Skip images that cannot be used.")
    json: Path | None = option(None, help="Write the report to this JSON file.", written="file")
    replicates: int = option(100, help="Bootstrap replicates of a comparison; 0: no intervals.", min=0)
    plot: Path | None = option(
        None, help="Write a plot of a comparison to this file (.png, .svg, .pdf).", written="file"
    )
    save_statistics: Path | None = option(
        None, help="Write mean and covariance to this .npz, for --reference.", written="file"
    )
    value_range: str | None = value_range_option()
    cache: Path | None = option(None, help="Folder for cached features; default: in the cache.")
    device: str | None = device_option()
    trust: bool = trust_option()
    threads: int | None = threads_option()

    def __post_init__(self) -> None:
        if len(self.sources) == 1 and self.plot is not None:
            raise click.BadParameter("a plot compares several sources: give two or more", param_hint="--plot")
        if len(self.sources) > 1 and self.save_statistics is not None:
            raise click.BadParameter("statistics are those of one source: give one", param_hint="--save-statistics")
        if len({os.path.normpath(path) for path in self.sources}) < len(self.sources):
            raise click.BadParameter("a source is named twice: name each once", param_hint="SOURCES")
        if self.plot is not None and self.plot.suffix.lower() not in (".png", ".svg", ".pdf"):
            raise click.BadParameter(f"a plot is a .png, .svg or .pdf file, not {self.plot.name}", param_hint="--plot")
        if self.plot is not None and find_spec("matplotlib") is None:
            raise click.BadParameter("plots need matplotlib: pip install 'improved-gan[plots]'", param_hint="--plot")
        if self.save_statistics is not None and self.save_statistics.suffix.lower() != ".npz":
            name = self.save_statistics.name
            raise click.BadParameter(f"statistics are a .npz file, not {name}", param_hint="--save-statistics")
        if self.replicates == 1:
            raise click.BadParameter("an interval needs at least 2; 0 for none", param_hint="--replicates")
        if self.precision not in ("float32", "bfloat16"):
            raise click.BadParameter(f"take float32 or bfloat16, not {self.precision!r}", param_hint="--precision")

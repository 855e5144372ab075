"""Names and options of `improved-gan evaluate`, beside cli.py; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["evaluate"]


def evaluate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|RUN",
            help="Images: a folder or a zip or tar archive; or a run, whose samples are evaluated.",
        ),
    ],
    reference: Annotated[
        Path | None, typer.Option(help="Real images: a folder, an archive, or a statistics file (.npz).")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated list of is, fid, fid-infinity, kid, cmmd, precision-recall, density-coverage, vendi, "
            "nearest, birthday; or all."
        ),
    ] = None,
    splits: Annotated[int, typer.Option("--num-splits", help="Splits of the Inception score.", min=1)] = 10,
    num: Annotated[
        int | None, typer.Option(help="Number of images, drawn at random; for a run: number of samples.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the latents of a run's samples.", min=0, max=2**32 - 1)] = 0,
    no_shuffle: Annotated[
        bool, typer.Option("--no-shuffle", help="Form the splits in order of name; default: a fixed random order.")
    ] = False,
    classifier: Annotated[
        str | None, typer.Option(help="Network used instead of Inception: a run folder, or module:function.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Inception weight file; default: from the cache, else a download.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Precision of Inception: float32, or bfloat16 (checked on the images).")
    ] = "float32",
    skip_invalid: Annotated[bool, typer.Option("--skip-invalid", help="Skip images that cannot be used.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the report to this JSON file.")] = None,
    save_statistics: Annotated[
        Path | None, typer.Option(help="Write mean and covariance to this .npz, for --reference.")
    ] = None,
    value_range: Annotated[
        str | None, typer.Option(help="Pixel values of black and white, as 0:4095; default: the run's value range.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for cached features; default: in the cache.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU if there is one.")] = None,
    trust: TrustOption = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: PyTorch's choice.", min=1)] = None,
) -> None:
    """Evaluate images: Inception score, FID, KID, CMMD, precision and recall, density, coverage, Vendi score, copies.

    The report names the network, its hash, and the preprocessing. Features are cached by image content, so a repeated
    command continues where it stopped. Works under torchrun.

    Example: `improved-gan evaluate samples/images --reference photos --json report.json`.
    """
    chosen = dict(locals())  # the parameters above are the fields of EvaluateOptions, by name
    if precision not in ("float32", "bfloat16"):
        raise typer.BadParameter(f"take float32 or bfloat16, not {precision!r}", param_hint="--precision")
    from rich.console import Console

    from improved_gan.commands.evaluate import EvaluateOptions, run_evaluation

    run_evaluation(EvaluateOptions(**chosen), Console())

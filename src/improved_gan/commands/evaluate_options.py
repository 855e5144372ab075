"""Names and options of `improved-gan evaluate`: they are many, so they stand beside cli.py; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["evaluate"]


def evaluate(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER|RUN", help="Images: a folder, a zip or tar archive; or a run to sample.")
    ],
    reference: Annotated[
        Path | None, typer.Option(help="Real images: a folder, an archive, or a statistics file (.npz).")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="is, fid, kid, precision-recall, nearest, birthday: some, separated by commas, or all."),
    ] = None,
    splits: Annotated[int, typer.Option("--num-splits", help="Splits of the Inception score.", min=1)] = 10,
    num: Annotated[
        int | None, typer.Option(help="How many images, drawn at random; of a run: how many samples.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of a run's latents.", min=0, max=2**32 - 1)] = 0,
    by_name: Annotated[
        bool, typer.Option("--no-shuffle", help="Cut splits in order of name; default: a fixed random order.")
    ] = False,
    classifier: Annotated[
        str | None, typer.Option(help="In place of Inception: a run folder, or module:function of your own.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Inception weight file; else the cache, else a download.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Of Inception: float32, or bfloat16 where a check on the images allows it.")
    ] = "float32",
    skip_bad: Annotated[bool, typer.Option("--skip-invalid", help="Leave out images that cannot be used.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the score card to this file.")] = None,
    save_statistics: Annotated[
        Path | None, typer.Option(help="Write mean and covariance to this .npz, for --reference.")
    ] = None,
    value_range: Annotated[
        str | None, typer.Option(help="Values that are black and white, 0:4095; default: those of the run.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of kept features; default: in the cache.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU where there is one.")
    ] = None,
    trust: TrustOption = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: PyTorch's choice.", min=1)] = None,
) -> None:
    """Score images: Inception score, FID, KID, precision and recall, copies of training images, distinct samples.

    Every number names its network, its hash, and how images were read. Features are kept by content: the same command
    again continues where it stopped. Works under torchrun.

    Example: `improved-gan evaluate samples/images --reference photos --json card.json`.
    """
    chosen = dict(locals())  # the parameters above are the fields of EvaluateOptions, by name
    if precision not in ("float32", "bfloat16"):
        raise typer.BadParameter(f"take float32 or bfloat16, not {precision!r}", param_hint="--precision")
    from rich.console import Console

    from improved_gan.commands.evaluate import EvaluateOptions, run_evaluation

    run_evaluation(EvaluateOptions(**chosen), Console())

"""Names and options of `improved-gan export`, beside cli.py; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["export"]


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder made by `train`.")],
    out: Annotated[Path, typer.Option(help="The file to write, *.onnx or *.pt2; the model card is written beside it.")],
    what: Annotated[
        str, typer.Option("--head", help="Part to export: classifier, features or generator.")
    ] = "classifier",
    format_: Annotated[str, typer.Option("--format", help="onnx or torch (torch.export).")] = "onnx",
    layout: Annotated[
        str, typer.Option(help="Axes of images: nhwc (N, H, W, C), as in Pillow and NumPy, or nchw.")
    ] = "nhwc",
    trust: TrustOption = False,
    unfinished: Annotated[bool, typer.Option("--allow-incomplete", help="Export a run that is not finished.")] = False,
) -> None:
    """Export a trained network to a file that runs without this package, with a model card; the output is verified.

    The file includes the conversion from uint8, but no resizing. Weight normalization, batch normalization and the
    reference batch are folded.

    Example: `improved-gan export runs/mnist --head classifier --format onnx --out mnist.onnx`.
    """
    from rich.console import Console

    from improved_gan.commands.export import run_export

    run_export(
        run,
        what=what,
        format_=format_,
        out=out,
        layout=layout,
        unfinished=unfinished,
        console=Console(),
        trust=trust,
    )

"""Names and options of `improved-gan export`, beside cli.py; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["export"]


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `train` has made.")],
    out: Annotated[Path, typer.Option(help="The file to write: *.onnx or *.pt2; its model card goes beside it.")],
    what: Annotated[str, typer.Option("--head", help="classifier, features or generator.")] = "classifier",
    format_: Annotated[
        str, typer.Option("--format", help="onnx, or torch (torch.export; runs without this package).")
    ] = "onnx",
    layout: Annotated[
        str, typer.Option(help="Of images: nhwc (N, H, W, C), as Pillow and NumPy have them, or nchw.")
    ] = "nhwc",
    trust: TrustOption = False,
    unfinished: Annotated[bool, typer.Option("--allow-incomplete", help="Export a run that is not finished.")] = False,
) -> None:
    """Write a trained network as a file that needs none of this package, checked against it, with a model card.

    Preprocessing from uint8 is inside, resizing is not. Weight norm, batch norm and the reference batch are folded.

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

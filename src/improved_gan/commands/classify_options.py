"""Names and options of `improved-gan classify`, beside cli.py; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["classify"]


def classify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `train` has made.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders or archives of them.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    fit: Annotated[
        bool, typer.Option("--fit", help="Convert the mode and scale to the size that the run was trained on.")
    ] = False,
    invert: Annotated[bool, typer.Option("--invert", help="Swap dark and light (scans of ink for MNIST).")] = False,
    review: Annotated[
        int | None, typer.Option(help="Write a page on which to label the N least certain images by hand.", min=1)
    ] = None,
    diverse: Annotated[
        bool, typer.Option("--diverse", help="Choose them from the 10 N least certain, far from each other.")
    ] = False,
    labels: Annotated[
        Path | None, typer.Option(help="Earlier labels.csv: its images are not shown, its rows are kept.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that decode images; default: up to 4.", min=1)] = None,
    trust: TrustOption = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU where there is one.")
    ] = None,
) -> None:
    """Classify images with a trained run: label, probabilities, how real each image looks, and how uncertain its class.

    A run that was stopped goes on with the same command; later it does only what is new or has changed. An image that
    cannot be used is reported, the others are done, and the exit code is 1.

    Example: `improved-gan classify runs/mnist scans/ --fit --invert --out predictions.csv --review 100`.
    """
    if review is None and (diverse or labels is not None):
        raise typer.BadParameter("--diverse and --labels belong to --review N", param_hint="--review")
    from rich.console import Console

    from improved_gan.commands.classify import run_classification
    from improved_gan.commands.review import ReviewOptions

    page = None if review is None else ReviewOptions(review, diverse, labels)
    if run_classification(
        run,
        images,
        out=out,
        fit=fit,
        invert=invert,
        device=device,
        console=Console(),
        workers=workers,
        review=page,
        trust=trust,
    ):
        raise typer.Exit(1)

"""Names and options of `improved-gan classify`, beside cli.py; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["classify"]

Labels = Annotated[
    Path | None, typer.Option(help="Classes of images (CSV), for the error; --annotate: these are not shown, and kept.")
]
Json = Annotated[Path | None, typer.Option(help="Write error, interval, confusion and recalls to this file.")]
Values = Annotated[str | None, typer.Option(help="Values that are black and white, 0:4095; default: those of the run.")]


def classify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `train` has made.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders or archives of them.")],
    out: Annotated[Path | None, typer.Option(help="The CSV file to write, a row an image; default: none.")] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Convert the mode and scale to the size that the run was trained on.")
    ] = False,
    invert: Annotated[bool, typer.Option("--invert", help="Swap dark and light (scans of ink for MNIST).")] = False,
    review: Annotated[
        int | None,
        typer.Option("--annotate", help="Write a page on which to label the N least certain images by hand.", min=1),
    ] = None,
    diverse: Annotated[
        bool, typer.Option("--diversity", help="Choose them from the 10 N least certain, far from each other.")
    ] = False,
    labels: Labels = None,
    json: Json = None,
    value_range: Values = None,
    workers: Annotated[
        int | None, typer.Option("--num-workers", help="Threads that decode images; default: up to 4.", min=1)
    ] = None,
    trust: TrustOption = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU where there is one.")
    ] = None,
) -> None:
    """Classify images with a trained run: label, probabilities, how real each image looks, and how uncertain its class.

    Where classes are known, by class folders or --labels, the error with its 95% interval, the confusion matrix and
    each class's recall are printed; of images named one by one the label is.

    A run that was stopped goes on with the same command; later it does only what is new or has changed. An image that
    cannot be used is reported, the others are done, and the exit code is 1.

    Examples: `improved-gan classify runs/folder holdout/`, `improved-gan classify runs/folder one.png`,
    `improved-gan classify runs/mnist scans/ --fit --invert --out predictions.csv --annotate 100`.
    """
    if review is None and diverse:
        raise typer.BadParameter("--diversity belongs to --annotate N", param_hint="--annotate")
    if review is not None and out is None:
        raise typer.BadParameter("the page is written beside the predictions: give --out CSV", param_hint="--annotate")
    from rich.console import Console

    from improved_gan.commands.classify import run_classification
    from improved_gan.commands.review import ReviewOptions
    from improved_gan.data.value_range import parse_plain_range

    page = None if review is None else ReviewOptions(review, diverse, labels)
    failed = run_classification(
        run,
        images,
        out=out,
        fit=fit,
        invert=invert,
        values=None if value_range is None else parse_plain_range(value_range),
        device=device,
        console=Console(),
        workers=workers,
        labels=labels,
        json_file=json,
        review=page,
        trust=trust,
    )
    if failed:
        raise typer.Exit(1)

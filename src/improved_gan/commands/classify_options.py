"""Names and options of `improved-gan classify`, beside cli.py; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["classify"]

Annotate = Annotated[
    int | None,
    typer.Option(help="Write a page for labeling the N images with the highest entropy.", min=1, metavar="N"),
]
Diversity = Annotated[
    bool,
    typer.Option("--diversity", help="With --annotate: of the 10 N most uncertain images, N with distant features."),
]
Labels = Annotated[
    Path | None,
    typer.Option(help="CSV file of true classes, for the error; with --annotate these images are not shown again."),
]
Json = Annotated[
    Path | None, typer.Option(help="Write error, interval, confusion matrix and recalls to this JSON file.")
]
Values = Annotated[
    str | None, typer.Option(help="Pixel values of black and white, as 0:4095; default: the run's value range.")
]
Workers = Annotated[int | None, typer.Option(help="Threads that decode images; default: at most 4.", min=1)]


def classify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder made by `train`.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders or archives of images.")],
    out: Annotated[
        Path | None, typer.Option(help="CSV file to write, one row for each image; default: no file.")
    ] = None,
    resize: Annotated[
        bool, typer.Option("--resize", help="Convert mode and size of the images to those of the training images.")
    ] = False,
    invert: Annotated[
        bool, typer.Option("--invert", help="Invert the gray levels (scans of ink on paper, for MNIST).")
    ] = False,
    annotate: Annotate = None,
    diversity: Diversity = False,
    labels: Labels = None,
    json: Json = None,
    value_range: Values = None,
    num_workers: Workers = None,
    trust: TrustOption = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU if there is one.")] = None,
) -> None:
    """Classify images with a trained run: label, class probabilities, probability of being real, and entropy.

    If true classes are known, from class folders or --labels, the command prints the error with its 95% interval, the
    confusion matrix and the recall of each class. For images named one by one it prints the label.

    A stopped command continues when it is repeated; a later call processes only images that are new or have changed.
    An image that cannot be used is reported and skipped, and the exit code is then 1.

    Examples: `improved-gan classify runs/folder holdout/`, `improved-gan classify runs/folder one.png`,
    `improved-gan classify runs/mnist scans/ --resize --invert --out predictions.csv --annotate 100`.
    """
    chosen = dict(locals())  # the parameters above are the fields of ClassifyOptions, by name
    if annotate is None and diversity:
        raise typer.BadParameter("--diversity needs --annotate N", param_hint="--annotate")
    if annotate is not None and out is None:
        raise typer.BadParameter("the page is written beside the predictions: give --out CSV", param_hint="--annotate")
    from rich.console import Console

    from improved_gan.commands.classify import ClassifyOptions, run_classification

    if run_classification(ClassifyOptions(**chosen), Console()):
        raise typer.Exit(1)

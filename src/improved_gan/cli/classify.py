"""`improved-gan classify`: label, class probabilities, real score and entropy of images, as CSV; an annotation page."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from improved_gan.cli.options import argument, option
from improved_gan.cli.shared import device_option, run_argument, trust_option, value_range_option

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ClassifyOptions", "classify"]


@dataclass(frozen=True)
class ClassifyOptions:
    """The options of `classify`."""

    run: Path = run_argument()
    images: tuple[Path, ...] = argument(help="Image files, or folders or archives of images.")
    out: Path | None = option(None, help="CSV file to write, one row for each image; default: no file.")
    resize: bool = option(False, help="Convert mode and size of the images to those of the training images.")
    invert: bool = option(False, help="Invert the gray levels (scans of ink on paper, for MNIST).")
    annotate: int | None = option(
        None, help="Write a page for labeling the N images with the highest entropy.", min=1, metavar="N"
    )
    diversity: bool = option(False, help="With --annotate: of the 10 N most uncertain images, N with distant features.")
    labels: Path | None = option(
        None,
        help="CSV file of true classes, for the error; with --annotate these images are not shown again.",
    )
    json: Path | None = option(None, help="Write error, interval, confusion matrix and recalls to this JSON file.")
    value_range: str | None = value_range_option()
    num_workers: int | None = option(None, help="Threads that decode images; default: at most 4.", min=1)
    trust: bool = trust_option()
    device: str | None = device_option()

    def __post_init__(self) -> None:
        if self.annotate is None and self.diversity:
            raise click.BadParameter("--diversity needs --annotate N", param_hint="--annotate")
        if self.annotate is not None and self.out is None:
            raise click.BadParameter(
                "the page is written beside the predictions: give --out CSV", param_hint="--annotate"
            )


def classify(options: ClassifyOptions, console: "Console") -> int:
    """Classify images with a trained run: label, class probabilities, probability of being real, and entropy.

    If true classes are known, from class folders or --labels, the command prints the error with its 95% interval, the
    confusion matrix and the recall of each class. For images named one by one it prints the label.

    A stopped command continues when it is repeated; a later call processes only images that are new or have changed.
    An image that cannot be used is reported and skipped, and the exit code is then 1.

    Examples: `improved-gan classify runs/folder holdout/`, `improved-gan classify runs/folder one.png`,
    `improved-gan classify runs/mnist scans/ --resize --invert --out predictions.csv --annotate 100`.
    """
    from improved_gan.cli import classification

    return int(classification.run_classification(classification.ClassifyOptions(**vars(options)), console) > 0)

"""Options of `improved-gan train` that speak of labels and of a user's own images; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "DataCache",
    "Images",
    "Labels",
    "NumLabels",
    "RecipeName",
    "Size",
    "SplitSeed",
    "Validation",
    "Values",
    "Workers",
]

RecipeName = Annotated[
    str | None, typer.Argument(help="A recipe's name, or the path of a Python file that defines recipe().")
]
Labels = Annotated[
    str | None, typer.Option(help="Labeled images in all, the same number a class; `folder`: or a labels file, or 0.")
]
SplitSeed = Annotated[
    int | None, typer.Option(help="Decides which images have labels; default: the seed.", min=0, max=2**32 - 1)
]
Images = Annotated[Path | None, typer.Option(help="`folder`: your images, a folder or archive.")]
NumLabels = Annotated[int | None, typer.Option(help="`folder`: use only so many of the labels, balanced.", min=1)]
Size = Annotated[int | None, typer.Option(help="`folder`: 32, 64 or 128 pixels; default: by the images.")]
Validation = Annotated[float | None, typer.Option(help="`folder`: share of the labeled images held out; default: 0.2.")]
Values = Annotated[
    str | None, typer.Option(help="`folder`: values that are black and white, 0:4095, or percentiles, 0.5%:99.5%.")
]
DataCache = Annotated[Path | None, typer.Option("--cache-dir", help="`folder`: where decoded images are kept.")]
Workers = Annotated[
    int | None, typer.Option("--num-workers", help="`folder`: threads that decode; default: one a core.", min=1)
]

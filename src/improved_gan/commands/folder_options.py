"""Options of `improved-gan train` for labels and for custom images; imports nothing slow."""

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
    str | None, typer.Argument(help="Name of a recipe, or path of a Python file that defines recipe().")
]
Labels = Annotated[
    str | None,
    typer.Option(
        help="Total number of labels, balanced over the classes; for `folder` also a labels file, or 0 for none."
    ),
]
SplitSeed = Annotated[
    int | None, typer.Option(help="Seed that selects the labeled images; default: --seed.", min=0, max=2**32 - 1)
]
Images = Annotated[Path | None, typer.Option(help="`folder`: the images, a folder or archive.")]
NumLabels = Annotated[int | None, typer.Option(help="`folder`: use only N labels, balanced over the classes.", min=1)]
Size = Annotated[
    int | None, typer.Option(help="`folder`: 32, 64 or 128 pixels; default: chosen by the sizes of the images.")
]
Validation = Annotated[
    float | None, typer.Option(help="`folder`: fraction of the labeled images held out; default: 0.2.")
]
Values = Annotated[
    str | None,
    typer.Option(help="`folder`: pixel values of black and white, as 0:4095, or percentiles, as 0.5%:99.5%."),
]
DataCache = Annotated[Path | None, typer.Option("--cache-dir", help="`folder`: cache folder for decoded images.")]
Workers = Annotated[
    int | None,
    typer.Option("--num-workers", help="`folder`: threads that decode images; default: one per core.", min=1),
]

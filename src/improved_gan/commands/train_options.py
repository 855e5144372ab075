"""Options of `train`: its data, and how a step is computed."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["MAX_SEED", "ChannelsLast", "Compile", "DataFolder", "GeneratorSteps", "MicroBatch", "Precision"]

MAX_SEED = 2**32 - 1  # what NumPy takes

DataFolder = Annotated[Path | None, typer.Option(help="Folder with the data; else IMPROVED_GAN_DATA, else a download.")]
Precision = Annotated[
    str | None, typer.Option(help="float32, bfloat16 (forward passes), or auto; default: the recipe's.")
]
GeneratorSteps = Annotated[
    int | None, typer.Option(help="Turns of the generator for each of the discriminator.", min=1)
]
MicroBatch = Annotated[
    int | None, typer.Option(help="Most rows held at a time (less memory, same numbers); 0: all.", min=0)
]
Compile = Annotated[bool | None, typer.Option("--compile/--no-compile", help="torch.compile, where a compiler works.")]
ChannelsLast = Annotated[
    bool | None, typer.Option("--channels-last/--no-channels-last", help="Convolutions with channels innermost.")
]

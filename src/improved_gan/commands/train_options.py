"""Options of `train`: its data, and how a step is computed."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["MAX_SEED", "ChannelsLast", "Compile", "DataFolder", "GeneratorSteps", "MicroBatch", "Precision"]

MAX_SEED = 2**32 - 1  # what NumPy takes

DataFolder = Annotated[
    Path | None, typer.Option(help="Folder with the data; default: $IMPROVED_GAN_DATA, else a download.")
]
Precision = Annotated[
    str | None, typer.Option(help="float32, bfloat16 (forward passes only), or auto; default: the recipe's.")
]
GeneratorSteps = Annotated[int | None, typer.Option(help="Generator updates per discriminator update.", min=1)]
MicroBatch = Annotated[
    int | None, typer.Option(help="Rows per micro-batch (less memory, same gradients); 0: no micro-batches.", min=0)
]
Compile = Annotated[
    bool | None, typer.Option("--compile/--no-compile", help="Use torch.compile, if a compiler is available.")
]
ChannelsLast = Annotated[
    bool | None,
    typer.Option("--channels-last/--no-channels-last", help="Use the channels-last memory format for convolutions."),
]

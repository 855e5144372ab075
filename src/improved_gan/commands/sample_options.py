"""Names and options of `improved-gan sample`; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["sample"]


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder made by `train`.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the images.")],
    num: Annotated[
        int | None, typer.Option(help="Number of single images; default: 100, or none with a gallery option.", min=1)
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the latents: the same seed gives the same images.", min=0, max=2**32 - 1)
    ] = 0,
    interpolation: Annotated[
        bool, typer.Option("--interpolation", help="Write interpolations between latents: interpolation.png and .gif.")
    ] = False,
    path: Annotated[
        str, typer.Option(help="Interpolation path: linear, spherical, or auto (by the distribution of the latents).")
    ] = "auto",
    training_gif: Annotated[
        bool, typer.Option("--training-gif", help="Write the samples during training: training.png and training.gif.")
    ] = False,
    nearest_real: Annotated[
        bool,
        typer.Option(
            "--nearest-real", help="Write samples of each class next to the nearest real images: nearest.png."
        ),
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the data, for --nearest-real; nothing is downloaded.")
    ] = None,
    trust: TrustOption = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU if there is one.")] = None,
) -> None:
    """Generate samples with a trained generator: single PNG files and a grid, or one of the galleries.

    Example: `improved-gan sample runs/demo/gan-split-1 --num 1000 --out samples`.
    """
    from rich.console import Console

    from improved_gan.commands.sample import Galleries, run_sampling

    galleries = Galleries(
        interpolation=interpolation, training_gif=training_gif, nearest_real=nearest_real, path=path, data=data
    )
    run_sampling(run, num=num, out=out, seed=seed, device=device, console=Console(), galleries=galleries, trust=trust)

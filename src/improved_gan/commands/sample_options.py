"""Names and options of `improved-gan sample`; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["sample"]


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `train` has made.")],
    out: Annotated[Path, typer.Option(help="New or empty folder for the pictures.")],
    num: Annotated[
        int | None, typer.Option(help="How many single images; default: 100, beside galleries none.", min=1)
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Decides the latents: the same seed gives the same images.", min=0, max=2**32 - 1)
    ] = 0,
    interpolate: Annotated[
        bool, typer.Option("--interpolation", help="Walks between latents: interpolation.png and .gif.")
    ] = False,
    path: Annotated[
        str, typer.Option(help="Of the walks: linear, spherical, or auto (what fits the generator's latents).")
    ] = "auto",
    film: Annotated[
        bool, typer.Option("--training-gif", help="The training: film.png (a strip) and film.gif.")
    ] = False,
    nearest: Annotated[
        bool, typer.Option("--nearest-real", help="Samples of each class beside the nearest real images: nearest.png.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the data, for --nearest-real; nothing is downloaded.")
    ] = None,
    trust: TrustOption = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU where there is one.")
    ] = None,
) -> None:
    """Make images with a trained generator: single PNGs and a grid; or walks, a film of training, real neighbors.

    Example: `improved-gan sample runs/demo/gan-split-1 --num 1000 --out samples`.
    """
    from rich.console import Console

    from improved_gan.commands.sample import Galleries, run_sampling

    galleries = Galleries(interpolate=interpolate, film=film, nearest=nearest, path=path, data=data)
    run_sampling(run, num=num, out=out, seed=seed, device=device, console=Console(), galleries=galleries, trust=trust)

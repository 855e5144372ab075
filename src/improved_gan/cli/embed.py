"""`improved-gan embed`: features of images by a pretrained network, in one file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from improved_gan.cli.options import argument, option
from improved_gan.cli.shared import device_option, threads_option, trust_option
from improved_gan.cli.trust import trust_or_ask

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["EmbedOptions", "embed"]


@dataclass(frozen=True)
class EmbedOptions:
    """The options of `embed`."""

    images: Path = argument(metavar="IMAGES", help="A folder, a zip or tar archive, or a folder of archives.")
    network: str = option(
        help="A pretrained network: inception-2015, dinov2-vitb14, dinov2-vitl14, clip-vitb32, timm:NAME, a file "
        "(.onnx, .pt2), a run folder, or module:function."
    )
    out: Path = option(help="The file to write (.npz).", written="file")
    weights: Path | None = option(None, help="Weight file of the network; default: from the cache.")
    dtype: str = option("float32", help="float32, or float16 for half of the size.")
    workers: int = option(1, help="Processes that share the images.", min=1)
    skip_invalid: bool = option(False, help="Skip images that cannot be used.")
    value_range: str | None = option(None, help="Pixel values of black and white, as 0:4095.")
    cache: Path | None = option(None, help="Folder for cached features; default: in the cache.")
    device: str | None = device_option()
    trust: bool = trust_option()
    threads: int | None = threads_option()

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "float16"):
            raise click.BadParameter(f"take float32 or float16, not {self.dtype!r}", param_hint="--dtype")
        if self.out.suffix != ".npz":
            raise click.BadParameter(f"embeddings are a .npz file, not {self.out.name}", param_hint="--out")


def embed(options: EmbedOptions, console: "Console") -> None:
    """Embed images: the features of a pretrained network, with file names, in one file.

    The file names the network, the SHA-256 of its weights and the preprocessing; `evaluate`, `train-folder
    --embeddings` and `improved_gan.data.embeddings.read_embeddings` take it. Features are cached by image content: a
    stopped command continues when it is repeated. Of a folder that has changed, chunks of 32 images, in order of name,
    are computed again from the first change on.

    Example: `improved-gan embed photos --network dinov2-vitb14 --out photos.npz`.
    """
    import torch

    from improved_gan.console import say, warn
    from improved_gan.data.download import cache_folder
    from improved_gan.data.embeddings import write_embeddings
    from improved_gan.data.value_range import parse_plain_range
    from improved_gan.embeddings.embed import Embedding, embed_images
    from improved_gan.training.process_group import choose_device

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    how = Embedding(
        network=options.network,
        cache=options.cache or cache_folder() / "features",
        weights=options.weights,
        device=choose_device(options.device),
        workers=options.workers,
        values=None if options.value_range is None else parse_plain_range(options.value_range),
        dtype=options.dtype,
        skip_invalid=options.skip_invalid,
    )
    found = embed_images(options.images, how, console, trust=trust_or_ask(console, trust=options.trust))
    write_embeddings(options.out, found)
    if copies := found.num_duplicates:
        warn(console, f"{copies} of {len(found)} embeddings equal an earlier one: the images are copies of each other")
    about = found.about
    say(console, f"{len(found)} images, {found.features.shape[1]} features of {about['network']} "
                 f"(sha256 {about['sha256'][:12]}; {about['resize']}): {options.out}")  # fmt: skip

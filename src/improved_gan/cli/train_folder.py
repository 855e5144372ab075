"""`improved-gan train-folder`: train on a folder or archive of one's own images."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from improved_gan.cli.options import option, options_of
from improved_gan.cli.shared import TrainingOptions

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["TrainFolderOptions", "train_folder"]


@dataclass(frozen=True)
class TrainFolderOptions:
    """The options of `train-folder`; None: chosen by the images."""

    images: Path = option(help="The images: a folder, an archive, or a folder of archives.")
    labels: Path | None = option(
        None, help="CSV or TSV of file and label; default: class folders, or labels beside the images."
    )
    num_labels: int | None = option(
        None, help="Use only N labels, balanced over the classes; 0: no labels; default: all.", min=0
    )
    network: str | None = option(
        None, help="Train on embeddings by this pretrained network, named as for `embed`, instead of pixels."
    )
    weights: Path | None = option(None, help="Weight file of the network; default: from the cache.")
    embeddings: Path | None = option(None, help="Embeddings of the images, a file made by `embed`.")
    size: int | None = option(None, help="32, 64 or 128 pixels; default: chosen by the sizes of the images.")
    validation: float = option(0.2, help="Fraction of the labeled images held out.")
    value_range: str | None = option(
        None, help="Pixel values of black and white, such as 0:4095, or percentiles, such as 0.5%:99.5%."
    )
    cache_dir: Path | None = option(None, help="Cache folder for decoded images.")
    num_workers: int | None = option(None, help="Threads that decode images; default: one per core.", min=1)
    training: TrainingOptions = options_of(TrainingOptions)

    def __post_init__(self) -> None:
        if self.network is not None and self.embeddings is not None:
            raise click.BadParameter("give one of --network and --embeddings", param_hint="--embeddings")
        if self.weights is not None and self.network is None:
            raise click.BadParameter("weights are those of a --network", param_hint="--weights")


def train_folder(options: TrainFolderOptions, console: "Console") -> None:
    """Train on your own images: a classifier if some have labels, a generator in any case.

    A summary of what was found, and of what cannot be used, is printed first. The same command continues a run that was
    stopped. The settings are those of the recipe `folder`.

    With --network (or --embeddings), a pretrained network turns each image into features first, and the classifier
    learns these: far fewer labels do, in a minute. The run classifies new images with the same network.

    Examples: `improved-gan train-folder --images photos --dry-run`,
    `improved-gan train-folder --images photos --network dinov2-vitb14 --out runs/mine`,
    `improved-gan train-folder --images photos --labels labels.csv --out runs/mine`.
    """
    from improved_gan.cli.custom_images import ImageOptions
    from improved_gan.cli.training import train_on_images

    own = ImageOptions(
        images=options.images,
        labels_file=options.labels,
        size=options.size,
        validation=options.validation,
        cache=options.cache_dir,
        workers=options.num_workers,
        value_range=options.value_range,
        network=options.network,
        weights=options.weights,
        embeddings=options.embeddings,
    )
    train_on_images(own, options.training, console, labels=options.num_labels)

"""`improved-gan train`: start a run, or continue it where it stopped."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from improved_gan.cli.options import argument, option
from improved_gan.cli.shared import MAX_SEED, data_option, device_option, threads_option, trust_option

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["TrainOptions", "train"]


@dataclass(frozen=True)
class TrainOptions:
    """The options of `train`."""

    recipe: str | None = argument(None, help="Name of a recipe, or path of a Python file that defines recipe().")
    labels: str | None = option(
        None,
        help="Total number of labels, balanced over the classes; for `folder` also a labels file, or 0 for none.",
    )
    seed: int = option(1, help="Seed of initialization, batches and noise.", min=0, max=MAX_SEED)
    split_seed: int | None = option(
        None, help="Seed that selects the labeled images; default: --seed.", min=0, max=MAX_SEED
    )
    epochs: int | None = option(None, help="Epochs; default: the recipe's.")
    data: Path | None = data_option()
    out: Path | None = option(None, help="Run folder; default: runs/RECIPE-LABELS-seedSEED.")
    device: str | None = device_option()
    precision: str | None = option(
        None, help="float32, bfloat16 (forward passes only), or auto; default: the recipe's."
    )
    generator_steps: int | None = option(None, help="Generator updates per discriminator update.", min=1)
    micro_batch: int | None = option(
        None, help="Rows per micro-batch (less memory, same gradients); 0: no micro-batches.", min=0
    )
    compile: bool | None = option(None, help="Use torch.compile, if a compiler is available.")
    channels_last: bool | None = option(None, help="Use the channels-last memory format for convolutions.")
    threads: int | None = threads_option()
    save_every: float = option(60.0, help="Seconds between checkpoints.", min=0)
    eval_network: str | None = option(
        None, help="Network that scores samples: inception, a run folder, or module:function."
    )
    eval_every: int = option(0, help="Epochs between scores; 0: only at the end.", min=0)
    eval_samples: int | None = option(None, help="Number of samples that are scored; default: 10,000.", min=1)
    trust: bool = trust_option()
    num_models: int = option(
        1, help="Train N models with different seeds at once (torch.func.vmap); run folders in --out.", min=1
    )
    dry_run: bool = option(False, "-n", help="Check the options, estimate the time, and stop.")
    images: Path | None = option(None, help="`folder`: the images, a folder or archive.")
    num_labels: int | None = option(None, help="`folder`: use only N labels, balanced over the classes.", min=1)
    size: int | None = option(None, help="`folder`: 32, 64 or 128 pixels; default: chosen by the sizes of the images.")
    validation: float | None = option(None, help="`folder`: fraction of the labeled images held out; default: 0.2.")
    value_range: str | None = option(
        None, help="`folder`: pixel values of black and white, as 0:4095, or percentiles, as 0.5%:99.5%."
    )
    cache_dir: Path | None = option(None, help="`folder`: cache folder for decoded images.")
    num_workers: int | None = option(None, help="`folder`: threads that decode images; default: one per core.", min=1)
    list: bool = option(False, help="List the recipes with the paper's results.")

    def __post_init__(self) -> None:
        if self.recipe is None and not self.list:
            raise click.BadParameter("name a recipe, or see `improved-gan train --list`", param_hint="RECIPE")


def train(options: TrainOptions, console: "Console") -> None:
    """Train a recipe; the same command continues a run that was stopped.

    On Ctrl-C and SIGTERM the step is finished and a checkpoint saved. A resumed run gives the same numbers as an
    uninterrupted one (same machine, same threads). Several processes:
    `torchrun --nproc-per-node 2 -m improved_gan train ...`.

    Examples: `improved-gan train digits`, `improved-gan train mnist --labels 100 --data DIR --out runs/mnist`,
    `improved-gan train folder --images photos --labels labels.csv`.
    """
    if options.recipe is None or options.list:
        from improved_gan.cli.recipes import list_all

        list_all(console)
        return
    from improved_gan.cli import training
    from improved_gan.cli.train_folder import ImageOptions, labels_or_file

    num, labels_file = labels_or_file(options.labels, options.num_labels)
    own = ImageOptions(
        options.images,
        labels_file,
        options.size,
        options.validation,
        options.cache_dir,
        options.num_workers,
        options.value_range,
    )
    names = [field.name for field in fields(training.TrainOptions)]
    given = {name: value for name, value in vars(options).items() if name in names}
    given |= {"labels": num, "models": options.num_models, "own": own}
    training.run_training(training.TrainOptions(**given), console)

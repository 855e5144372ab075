"""The options of `improved-gan reproduce`, which `cli/reproduction.py` runs; importing them does not import torch."""

from dataclasses import dataclass
from pathlib import Path

import click

from improved_gan.cli.options import argument, option
from improved_gan.cli.shared import data_option, device_option, threads_option, trust_option

__all__ = ["ReproduceOptions"]


@dataclass(frozen=True)
class ReproduceOptions:
    """Reproduce a table of the paper: run every label split, and show our results next to the paper's.

    On Ctrl-C and SIGTERM all runs save; the same command then continues with the missing runs.

    Examples: `improved-gan reproduce mnist --labels 100`, `improved-gan reproduce --recipe digits --num-splits 3`.
    """

    table: str | None = argument(None, help="mnist, cifar10, svhn or ablations.")
    recipe: str | None = option(None, help="Recipe (name or file) to run instead of the table's.")
    labels: tuple[int, ...] = option((), help="Numbers of labels; default: all of the table.", several_numbers=True)
    num_splits: int = option(10, help="Label splits for each number of labels.", min=1)
    num_seeds: int | None = option(None, help="Models per split; default: 1, or the size of --ensemble.", min=1)
    ensemble: int | None = option(
        None,
        help="Models of a split whose class probabilities are averaged; default: 10, if --num-seeds allows.",
        min=2,
    )
    epochs: int | None = option(None, help="Epochs of each run; default: the recipe's.", min=1)
    data: Path | None = data_option()
    out: Path | None = option(None, help="Folder for all runs; default: runs/reproduce-TABLE.", written="folder")
    jobs: int | None = option(None, help="Runs at a time; default: one per core, or one per GPU.", min=1)
    threads: int | None = threads_option("CPU threads per run; default: cores / jobs.")
    device: str | None = device_option("all GPUs in turn")
    precision: str | None = option(None, help="As for `train`; default: the recipe's.")
    save_every: float = option(60.0, help="Seconds between checkpoints.", min=0)
    eval_network: str | None = option(None, help="Network that scores samples, as for `train`.")
    trust: bool = trust_option()
    scheduler: str | None = option(None, help="Run on a dask.distributed cluster: its address or scheduler file.")
    vmap: bool | None = option(
        None, help="Train all seeds of a split at once with torch.func.vmap; default: if there is a GPU."
    )
    save_expected: Path | None = option(
        None, help="Write the time and error of these runs to this JSON file, as expected results.", written="file"
    )
    dry_run: bool = option(False, "-n", help="Show the table with the results so far, and start no runs.")

    def __post_init__(self) -> None:
        if self.table is None and self.recipe is None:
            raise click.BadParameter(
                "name a table (mnist, cifar10, svhn, ablations) or give a --recipe", param_hint="TABLE"
            )
        if self.num_seeds is not None and self.ensemble is not None and self.num_seeds < self.ensemble:
            raise click.BadParameter(
                f"an ensemble of {self.ensemble} needs as many models per split: "
                f"leave out --num-seeds {self.num_seeds}",
                param_hint="--ensemble",
            )
        if self.save_expected is not None and self.dry_run:
            raise click.BadParameter("--dry-run writes nothing: give only one of the two", param_hint="--save-expected")

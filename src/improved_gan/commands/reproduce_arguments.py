"""Names and options of `improved-gan reproduce`, beside cli.py; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from improved_gan.commands.trust import TrustOption

__all__ = ["ManyLabels", "reproduce"]


RecipeOption = Annotated[str | None, typer.Option(help="Recipe (name or file) to run instead of the table's.")]
DataOption = Annotated[
    Path | None, typer.Option(help="Folder with the data; default: $IMPROVED_GAN_DATA, else a download.")
]
SchedulerOption = Annotated[
    str | None, typer.Option(help="Run on a dask.distributed cluster: its address or scheduler file.")
]
VmapOption = Annotated[
    bool | None,
    typer.Option(
        "--vmap/--no-vmap", help="Train all seeds of a split at once with torch.func.vmap; default: if there is a GPU."
    ),
]
RecordOption = Annotated[
    Path | None,
    typer.Option(
        "--save-expected", help="Write the time and error of these runs to this JSON file, as expected results."
    ),
]
SeedsOption = Annotated[
    int | None, typer.Option("--num-seeds", help="Models per split; default: 1, or the size of --ensemble.", min=1)
]
EnsembleOption = Annotated[
    int | None,
    typer.Option(
        help="Models of a split whose class probabilities are averaged; default: 10, if --num-seeds allows.", min=2
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Show the table with the results so far, and start no runs.")
]


class ManyLabels(TyperCommand):
    """Takes `--labels 20 50 100` for `--labels 20 --labels 50 --labels 100`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Repeat the option before each further number."""
        given: list[str] = []
        for word in args:
            if word.isdigit() and (given[-2:-1] == ["--labels"] or (given[-1:] and given[-1].startswith("--labels="))):
                given.append("--labels")
            given.append(word)
        return super().parse_args(ctx, given)


def reproduce(
    table: Annotated[str | None, typer.Argument(help="mnist, cifar10, svhn or ablations.")] = None,
    recipe: RecipeOption = None,
    labels: Annotated[list[int] | None, typer.Option(help="Numbers of labels; default: all of the table.")] = None,
    splits: Annotated[int, typer.Option("--num-splits", help="Label splits for each number of labels.", min=1)] = 10,
    seeds: SeedsOption = None,
    ensemble: EnsembleOption = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each run; default: the recipe's.", min=1)] = None,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for all runs; default: runs/reproduce-TABLE.")] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Runs at a time; default: one per core, or one per GPU.", min=1)
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads per run; default: cores / jobs.", min=1)] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: all GPUs in turn.")] = None,
    precision: Annotated[str | None, typer.Option(help="As for `train`; default: the recipe's.")] = None,
    save_every: Annotated[float, typer.Option(help="Seconds between checkpoints.", min=0)] = 60.0,
    eval_network: Annotated[str | None, typer.Option(help="Network that scores samples, as for `train`.")] = None,
    trust: TrustOption = False,
    scheduler: SchedulerOption = None,
    vmap: VmapOption = None,
    record: RecordOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Reproduce a table of the paper: run every label split, and show our results next to the paper's.

    On Ctrl-C and SIGTERM all runs save; the same command then continues with the missing runs.

    Examples: `improved-gan reproduce mnist --labels 100`, `improved-gan reproduce --recipe digits --num-splits 3`.
    """
    from rich.console import Console

    from improved_gan.commands.reproduce import ReproduceOptions, run_reproduction
    from improved_gan.reproduction.plan import RunOptions

    if table is None and recipe is None:
        raise typer.BadParameter(
            "name a table (mnist, cifar10, svhn, ablations) or give a --recipe", param_hint="TABLE"
        )
    _refuse_contradictions(seeds, ensemble, record, dry_run=dry_run)
    runs = RunOptions(epochs, precision, data, device, save_every, eval_network, trust)
    asked = ReproduceOptions(
        table=table,
        recipe=recipe,
        labels=labels or [],
        splits=splits,
        models=seeds,
        ensemble=ensemble,
        out=out,
        jobs=jobs,
        threads=threads,
        scheduler=scheduler,
        record=record,
        dry_run=dry_run,
        vmap=vmap,
        runs=runs,
    )
    if any(cell.failures for cell in run_reproduction(asked, Console())):
        raise typer.Exit(1)


def _refuse_contradictions(seeds: int | None, ensemble: int | None, record: Path | None, *, dry_run: bool) -> None:
    if seeds is not None and ensemble is not None and seeds < ensemble:
        raise typer.BadParameter(
            f"an ensemble of {ensemble} needs as many models per split: leave out --num-seeds {seeds}",
            param_hint="--ensemble",
        )
    if record is not None and dry_run:
        raise typer.BadParameter("--dry-run writes nothing: give only one of the two", param_hint="--save-expected")

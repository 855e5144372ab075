"""Names and options of `improved-gan reproduce`; what it does is in `reproduce.py`, imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from improved_gan.commands.trust import TrustOption

__all__ = ["ManyLabels", "reproduce"]


RecipeOption = Annotated[str | None, typer.Option(help="Another recipe, by name or file, in place of the table's.")]
DataOption = Annotated[Path | None, typer.Option(help="Folder with the data; else IMPROVED_GAN_DATA, else a download.")]
SchedulerOption = Annotated[
    str | None, typer.Option(help="Address or scheduler file of a dask.distributed cluster that computes the runs.")
]
TogetherOption = Annotated[
    bool | None,
    typer.Option("--vmap/--no-vmap", help="All seeds of a split in one step each; default: where there is a GPU."),
]
RecordOption = Annotated[
    Path | None,
    typer.Option("--save-expected", help="Write what to expect of these runs (time, error) into this JSON file."),
]
SeedsOption = Annotated[
    int | None, typer.Option("--num-seeds", help="Models of each split; default: 1, or --ensemble.", min=1)
]
EnsembleOption = Annotated[
    int | None,
    typer.Option(help="Models of a split that are averaged; default: 10, where there are --num-seeds.", min=2),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", "-n", help="Show the table as far as it is, start nothing.")]


class ManyLabels(TyperCommand):
    """Takes `--labels 20 50 100` for `--labels 20 --labels 50 --labels 100`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Name the option again before each further number."""
        given: list[str] = []
        for word in args:
            if word.isdigit() and (given[-2:-1] == ["--labels"] or (given[-1:] and given[-1].startswith("--labels="))):
                given.append("--labels")
            given.append(word)
        return super().parse_args(ctx, given)


def reproduce(
    table: Annotated[str | None, typer.Argument(help="mnist, cifar10, svhn or ablations.")] = None,
    recipe: RecipeOption = None,
    labels: Annotated[list[int] | None, typer.Option(help="Label budgets; default: all of the table.")] = None,
    splits: Annotated[int, typer.Option("--num-splits", help="Label splits of each budget.", min=1)] = 10,
    seeds: SeedsOption = None,
    ensemble: EnsembleOption = None,
    epochs: Annotated[int | None, typer.Option(help="Length of each run; default: the recipe's.", min=1)] = None,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder of all runs; default: runs/reproduce-TABLE.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Runs at a time; default: one a core, or one a GPU.", min=1)] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads a run; default: cores / jobs.", min=1)] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: the GPUs in turn.")] = None,
    precision: Annotated[str | None, typer.Option(help="As for `train`; default: the recipe's.")] = None,
    save_every: Annotated[float, typer.Option(help="Seconds between checkpoints.", min=0)] = 60.0,
    eval_network: Annotated[str | None, typer.Option(help="Scores samples, as for `train`.")] = None,
    trust: TrustOption = False,
    scheduler: SchedulerOption = None,
    together: TogetherOption = None,
    record: RecordOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Reproduce a table of the paper: runs every label split, then shows our figures beside the paper's.

    Ctrl-C and SIGTERM save all runs; the same command again goes on with what is missing.

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
        together=together,
        runs=runs,
    )
    if any(cell.failures for cell in run_reproduction(asked, Console())):
        raise typer.Exit(1)


def _refuse_contradictions(seeds: int | None, ensemble: int | None, record: Path | None, *, dry_run: bool) -> None:
    if seeds is not None and ensemble is not None and seeds < ensemble:
        raise typer.BadParameter(
            f"an ensemble of {ensemble} needs as many models a split: leave out --num-seeds {seeds}",
            param_hint="--ensemble",
        )
    if record is not None and dry_run:
        raise typer.BadParameter("--dry-run writes nothing: leave out one of the two", param_hint="--save-expected")

"""`improved-gan reproduce`: a table of the paper, run by run, with our results next to the paper's.

Before it starts its runs it looks for errors that each of them would raise, and says the expected time.
"""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache, partial
from pathlib import Path

import torch
from rich.console import Console

from improved_gan.cli.reproduce import ReproduceOptions
from improved_gan.cli.train_setup import check_has_samples
from improved_gan.console import say, warn
from improved_gan.data.dataset import DataError, Dataset
from improved_gan.embeddings.networks import INCEPTION, absolute_name, choose_network
from improved_gan.io import write_atomically
from improved_gan.recipes.recipe import RecipeError
from improved_gan.recipes.registry import find_recipe
from improved_gan.reproduction.cluster import DaskExecutor
from improved_gan.reproduction.executors import Executor, LocalExecutor, run_all
from improved_gan.reproduction.expected_results import (
    expected_seconds,
    packaged_record,
    readable_duration,
    write_record,
)
from improved_gan.reproduction.job_status import read_status
from improved_gan.reproduction.plan import Job, Plan, RunOptions, make_plan
from improved_gan.reproduction.progress import Display
from improved_gan.reproduction.results import Cell, collect, count_ensemble_errors, known_ensemble
from improved_gan.reproduction.table_formats import as_json, as_markdown, draw_curves, draw_table, notes, print_table
from improved_gan.runs.build import check_data, draw_split
from improved_gan.training.process_group import choose_device
from improved_gan.training.signals import catch_signals

__all__ = ["check", "print_expected_time", "reproduce", "total_time"]


def check(plan: Plan, missing: list[Job], console: Console) -> None:
    """Raise an error about missing data or impossible label budgets once, before any run; download data once.

    The network that scores the samples is checked too: without it, weeks of training would end without a result.

    Args:
        plan: the table.
        missing: the runs to compute, at least one.
        console: for warnings about damaged checkpoints.

    Raises:
        DataError, RecipeError, MetricError: the data, the labels or the network cannot be used.
    """
    options = missing[0].options
    recipes = [
        find_recipe(name, labels=labels) for name, labels in dict.fromkeys((job.recipe, job.labels) for job in missing)
    ]
    if options.eval_network is not None:
        for recipe in recipes:
            check_has_samples(recipe)
    if options.eval_network is not None or plan.table.measure.log_name.startswith("samples/"):
        _check_network(options.eval_network, console, trust=options.trust)
    for load in dict.fromkeys(recipe.load_data for recipe in recipes):
        data = load(options.data)
        for recipe in (one for one in recipes if one.load_data == load):
            if options.eval_network is not None:
                check_has_samples(recipe, data)
            check_data(recipe, data)
            draw_split(recipe, data, seed=1)


def _check_network(name: str | None, console: Console, *, trust: bool) -> None:
    try:
        choose_network(name or INCEPTION, warn=partial(warn, console), trust=trust)
    except DataError as error:
        if name not in (None, INCEPTION):
            raise DataError(f"--eval-network: {error}") from error
        raise DataError(
            "the samples are scored by Inception, whose weights were not found; see docs/metrics, or choose "
            "another network with --eval-network"
        ) from error


def print_expected_time(missing: list[Job], num_slots: int, console: Console) -> None:
    """Print the expected time, if such runs are recorded; finished epochs are not counted."""
    expected = [_expected(job) for job in missing]
    known = [one for one in expected if one is not None]
    if len(known) == len(expected):
        on_what = " and ".join(dict.fromkeys(machine for _, machine in known))
        in_all = readable_duration(total_time([seconds for seconds, _ in known], num_slots))
        say(console, f"expected time: about {in_all}, by recorded runs on {on_what}")


def total_time(seconds: list[float], num_slots: int) -> float:
    """Time of all runs, started one after another, each as soon as a slot is free.

    >>> total_time([65, 65, 65], 2)
    130.0
    """
    ends = [0.0] * num_slots
    for one in seconds:
        ends[ends.index(min(ends))] += one
    return max(ends)


def _expected(job: Job) -> tuple[float, str] | None:
    """Seconds that a run still takes, and the machine of the measurement; None if unknown."""
    device = job.options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    recipe = replace(find_recipe(job.recipe, labels=job.labels), epochs=job.epochs)
    expected = expected_seconds(recipe, packaged_record(recipe.name))
    if expected is None or device != "cpu" or job.models > 1:
        return None
    seconds, machine = expected
    if job.options.precision not in (None, "auto") and not machine.endswith(job.options.precision or ""):
        return None
    return seconds * (1 - read_status(job).epoch / job.epochs), machine


def reproduce(options: ReproduceOptions, console: Console) -> int:
    """Compute the missing runs, then print and write the table.

    Returns:
        1 if a run failed, otherwise 0.

    Raises:
        RecipeError, RunError, DataError, MetricError: invalid options, runs or data; nothing was started.
        InterruptedRunError: stopped on request, after every run has saved; the table holds the results so far.
    """
    out = _out(options)
    plan = make_plan(
        options.table,
        recipe=options.recipe,
        labels=list(options.labels),
        splits=options.num_splits,
        models=options.num_seeds or options.ensemble or 1,
        ensemble=options.ensemble or 10,
        out=out.absolute(),
        options=_run_options(options),
    )
    if options.ensemble is not None and not plan.table.measure.lower_is_better:
        raise RecipeError(f"table {plan.table.name} has no ensembles: leave out --ensemble")
    jobs = plan.grouped_jobs(convolutions=bool(options.vmap)) if _use_vmap(options) else plan.all_jobs()
    missing = [job for job in jobs if read_status(job).state != "done"]
    say(console, f"{plan.table.title}: {len(missing)} of {len(jobs)} runs to do{_of(jobs)}; run folders in {out}")
    executor = None
    if missing and not options.dry_run:
        check(plan, missing, console)
        executor = _executor(len(jobs), options, console)
        print_expected_time(missing, executor.num_slots, console)
    try:
        if executor is not None:
            _compute(jobs, missing, executor, console, partial(_write_so_far, plan, out, console))
    finally:  # also after an error: some runs may be finished
        cells = _report(plan, options, console)
    if options.save_expected is not None and not options.dry_run:
        budgets = write_record(plan, options.save_expected)
        say(console, f"expected results written to {options.save_expected}: {', '.join(budgets)} labels")
    return int(any(cell.failures for cell in cells))


def _run_options(options: ReproduceOptions) -> RunOptions:
    """The options that every run takes, with absolute paths: a run may be started in another folder."""
    runs = RunOptions(**{field.name: getattr(options, field.name) for field in fields(RunOptions)})
    return replace(
        runs,
        data=runs.data and runs.data.absolute(),
        eval_network=runs.eval_network and absolute_name(runs.eval_network),
    )


def _use_vmap(options: ReproduceOptions) -> bool:
    """Whether models are trained with vmap; by default on a GPU, where several small models run in parallel."""
    if options.vmap is not None:
        return options.vmap
    on_gpu = torch.cuda.is_available() and options.scheduler is None
    return options.device.startswith("cuda") if options.device else on_gpu


def _of(jobs: list[Job]) -> str:
    most = max((job.models for job in jobs), default=1)
    return f", {most} models in each" if most > 1 else ""


def _out(options: ReproduceOptions) -> Path:
    name = Path(options.recipe).stem if options.recipe else options.table
    return options.out or Path("runs") / f"reproduce-{name}"


def _compute(
    jobs: list[Job], missing: list[Job], executor: Executor, console: Console, write: Callable[[], object]
) -> None:
    with catch_signals() as stop, Display(jobs, console, after_each=write) as display:
        run_all(missing, executor, watcher=display, stop=stop)


def _executor(num_runs: int, options: ReproduceOptions, console: Console) -> Executor:
    device, threads = options.device, options.threads
    if options.scheduler is not None:
        cluster = DaskExecutor(options.scheduler, out=_out(options).absolute(), threads=threads, device=device)
        say(console, f"{cluster.num_slots} runs at a time on the cluster at {options.scheduler}")
        return cluster
    if device is not None:
        choose_device(device)  # an error here is one line, later it would be one line per run
    executor = LocalExecutor(jobs=options.jobs, threads=threads, device=device, num_runs=num_runs)
    say(console, f"{executor.num_slots} runs at a time, {executor.threads} threads each")
    return executor


def _report(plan: Plan, options: ReproduceOptions, console: Console) -> list[Cell]:
    """Print the table, and write it if any run has begun."""
    cells = collect(plan, known_ensemble if options.dry_run else _ensemble_of(options, console))
    print_table(plan, cells, console)
    for note in notes(plan, cells):
        say(console, note)
    if options.dry_run or not any(read_status(job).report for job in plan.all_jobs()):
        return cells
    out = _out(options)
    plots = _draw(plan, cells, out, console)
    written = _write(plan, cells, out, plots)
    say(console, f"written: {', '.join(map(str, (*written, *plots)))}")
    return cells


def _write(plan: Plan, cells: list[Cell], out: Path, plots: list[Path]) -> tuple[Path, Path]:
    """Write the table's files; also after each run, so that they exist however the command ends."""
    page, content = out / "table.md", out / "table.json"
    write_atomically(content, (json.dumps(as_json(plan, cells), indent=1) + "\n").encode())
    write_atomically(page, as_markdown(plan, cells, plots=[path.name for path in plots]).encode())
    return page, content


def _write_so_far(plan: Plan, out: Path, console: Console) -> None:
    """Write the table without new ensembles and plots, which are slow; an error here stops no run."""
    try:
        plots = [path for path in (out / "table.png", out / "curves.png") if path.exists()]
        _write(plan, collect(plan, known_ensemble), out, plots)
    except (OSError, ValueError, LookupError, TypeError) as error:
        warn(console, f"the table could not be written after this run; the runs continue: {error}")


def _draw(plan: Plan, cells: list[Cell], out: Path, console: Console) -> list[Path]:
    try:
        return [draw_table(plan, cells, out / "table.png"), draw_curves(plan, out / "curves.png")]
    except ModuleNotFoundError as error:
        warn(console, f"no plots: {error}")
        return []


def _ensemble_of(options: ReproduceOptions, console: Console) -> Callable[[list[Job]], tuple[int, int]]:
    device = choose_device(options.device)

    @cache
    def load(recipe: str) -> Dataset:
        return find_recipe(recipe).load_data(options.data)

    def ensemble_of(jobs: list[Job]) -> tuple[int, int]:
        return count_ensemble_errors(jobs, partial(load, jobs[0].recipe), device=device, warn=partial(warn, console))

    return ensemble_of

"""Checks before `improved-gan reproduce` starts its runs: errors that each run would raise, and the expected time."""

from dataclasses import replace
from functools import partial

import torch
from rich.console import Console

from improved_gan.console import say, warn
from improved_gan.data import DataError, LabelSplit
from improved_gan.embeddings.networks import INCEPTION, choose_network
from improved_gan.recipes.registry import find_recipe
from improved_gan.reproduction.expected_results import expected_seconds, packaged_record, readable_duration
from improved_gan.reproduction.job_status import read_status
from improved_gan.reproduction.plan import Job, Plan

__all__ = ["check", "print_expected_time", "total_time"]


def check(plan: Plan, missing: list[Job], console: Console) -> None:
    """Raise an error about missing data or impossible label budgets once, before any run; download data once.

    The network that scores the samples is checked too: without it, weeks of training would end without a result.

    Args:
        plan: the table.
        missing: the runs to compute, at least one.
        console: for warnings about damaged checkpoints.

    Raises:
        DataError: the data, the labels or the network cannot be used.
    """
    options = missing[0].options
    if options.eval_network is not None or plan.table.measure.log_name.startswith("samples/"):
        _check_network(options.eval_network, console, trust=options.trust)
    recipes = [
        find_recipe(name, labels=labels) for name, labels in dict.fromkeys((job.recipe, job.labels) for job in missing)
    ]
    loads = dict.fromkeys(recipe.load_data for recipe in recipes)
    classes = {load: load(options.data).train.labels for load in loads}
    for recipe in recipes:
        LabelSplit.draw(classes[recipe.load_data], recipe.num_labels, seed=1, include_labeled=recipe.include_labeled)


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

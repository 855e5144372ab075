"""Setup before the first step of a run, its estimated duration, and the summary after the last step.

The same for one and for several models.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from improved_gan.cli.shared import TrainingOptions
from improved_gan.console import say, warn
from improved_gan.data.dataset import Dataset
from improved_gan.distributed import rank, world_size
from improved_gan.kernels import cpp_extension
from improved_gan.metrics.errors import MetricError
from improved_gan.recipes.precision import fastest_precision, resolve_precision
from improved_gan.recipes.recipe import Recipe
from improved_gan.reproduction.expected_results import expected_results, packaged_record
from improved_gan.runs import Run
from improved_gan.runs.build import Experiment, check_batch_divisible
from improved_gan.runs.log import set_log_aside
from improved_gan.runs.loop import take_steps
from improved_gan.training.errors import RunError
from improved_gan.training.process_group import ProcessGroup, choose_device, local_device
from improved_gan.training.reporting import cost, summary
from improved_gan.training.state import TrainingState
from improved_gan.training.time_estimate import StepTimer

__all__ = [
    "build_experiment",
    "check_has_samples",
    "copy_recipe_file",
    "device_name",
    "print_cost",
    "print_header",
    "print_step_cost",
    "print_summary",
    "restore",
]

_MOST_STEPS, _MOST_SECONDS = 1000, 60.0  # one second is measured, or a single step if that takes longer
_STEPS_OF_RANKS = 20  # several processes must take the same number of steps


def check_has_samples(recipe: Recipe, data: Dataset | None = None) -> None:
    """Raise a MetricError if there will be no sample images to score; without the data, by the recipe alone."""
    if recipe.generator is None or (data is not None and data.embedding is not None):
        reason = "trains no GAN" if recipe.generator is None else "generates no images"
        raise MetricError(f"{recipe.name} {reason}, so there are no samples to score: no --eval-network")


def build_experiment(
    recipe: Recipe, options: TrainingOptions, out: Path, processes: ProcessGroup, *, data: Path | None = None
) -> Experiment:
    """Device, precision (a run that continues in `out` keeps its precision), data and label split."""
    check_batch_divisible(recipe)
    device = choose_device(local_device(options.device))
    # Processors may differ between ranks: rank 0 decides for all.
    chosen = (Run(out).precision or fastest_precision(torch.device(device))) if rank() == 0 else None
    recipe = resolve_precision(recipe, torch.device(device), recorded=processes.broadcast_from_rank0(chosen))
    split_seed = options.seed if options.split_seed is None else options.split_seed
    return processes.local_rank0_first(
        lambda: Experiment.prepare(recipe, seed=options.seed, split_seed=split_seed, data_folder=data, device=device)
    )


def print_header(experiment: Experiment, out: Path, console: Console, *, models: int = 1) -> None:
    """Print recipe, data, length, and the expected results."""
    recipe, data, split = experiment.recipe, experiment.data, experiment.split
    where = "run folder" if models == 1 else f"{models} models trained at once; run folders in"
    say(console, f"{recipe.name}: {recipe.summary}")
    say(
        console,
        f"{len(split.indices)} labels of {len(split.training_indices())} training images (split seed {split.seed}, "
        f"sha256 {split.digest[:12]}), {len(data.test)} {data.test_kind} images; paper: {recipe.paper}",
    )
    say(
        console,
        f"{recipe.epochs} epochs of {experiment.steps_per_epoch} steps, {recipe.precision} on "
        f"{experiment.device}, {torch.get_num_threads()} threads{recipe.how(world_size())}; {where} {out}",
    )
    if (slower := _slower_without_kernels(recipe, experiment.device)) and (why := cpp_extension.unavailable_reason()):
        say(console, f"without compiled kernels, so {slower}: {why}")
    unknown = ["expected results unknown: no run of this recipe with these numbers of labels and epochs is recorded"]
    for line in expected_results(recipe, packaged_record(recipe.name)) or unknown:
        say(console, line)


def _slower_without_kernels(recipe: Recipe, device: torch.device) -> str:
    """What is slower in this recipe without compiled kernels; empty if nothing is."""
    if device.type == "cpu" and recipe.precision == "bfloat16" and not recipe.channels_last:  # the dense pair
        return "training takes about twice as long"
    if (
        recipe.pseudo_labeling is not None and recipe.pseudo_labeling.max_displacement is not None
    ):  # on the CPU, wherever training is
        return "label spreading takes about ten times as long"
    return ""


def restore(state: TrainingState, run: Run, console: Console, processes: ProcessGroup) -> None:
    """Load the newest checkpoint, which rank 0 reads for all ranks."""
    tensors = None
    if rank() == 0:
        tensors = run.load_checkpoint(warn=partial(warn, console))
    tensors = processes.broadcast_from_rank0(tensors)
    if tensors is not None:
        try:
            state.load(tensors)
        except (RuntimeError, KeyError) as error:
            raise RunError(f"the checkpoint in {run.path} does not fit this version's networks: {error}") from error
        say(console, f"continuing at step {state.step}")
    if rank() == 0:
        if tensors is None and run.log.lines:
            kept = set_log_aside(run.log_file)
            there = f"{run.path} has a log up to epoch {run.log.epoch}, but no checkpoint"
            warn(console, f"{there}: training begins again, and that log is kept in {kept.name}")
        run.rewind_log(state.step)


def copy_recipe_file(file: Path, run: Run, console: Console) -> None:
    """Copy the recipe file into the run folder; warn if its code has changed (its values are compared elsewhere)."""
    if run.keep_code(file.read_bytes()):
        warn(console, f"{file} has changed since the run began; its values are the same, so the run continues with it")


def print_summary(run: Run, console: Console, how: str) -> None:
    """Print the last log entry and the paths of the results."""
    if rank() != 0:
        return
    say(console, f"{how}: {summary(run.log.last) if run.log.last else 'no report'}")
    samples = f"samples in {run.samples}, " if run.samples.is_dir() else ""  # none without a GAN
    say(console, f"{samples}log in {run.log_file}")


def device_name(device: torch.device) -> str:
    """The device as text."""
    return "this GPU" if device.type == "cuda" else "this processor"


def print_cost(experiment: Experiment, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Run some steps of the experiment, and print how long all of its steps would take.

    Pseudo-labels are left out: computing them may take minutes, once or a few times per run.

    Args:
        experiment: what would be trained.
        console: where to print.
        clock: a monotonic clock in seconds.
    """
    pseudo_labeling = experiment.recipe.pseudo_labeling is not None
    experiment = replace(experiment, recipe=replace(experiment.recipe, pseudo_labeling=None))
    state = experiment.start()
    batches = experiment.batches(state)
    steps = take_steps(state, batches, experiment.objective(state), experiment.recipe)
    total = experiment.recipe.epochs * batches.steps_per_epoch
    note = "; computing pseudo-labels takes additional time" if pseudo_labeling else ""
    print_step_cost(lambda: next(steps, None), total, experiment.device, console, note=note, clock=clock)


def print_step_cost(
    step: Callable[[], object],
    total: int,
    device: torch.device,
    console: Console,
    *,
    note: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run some steps, and print how long `total` of them would take.

    Args:
        step: runs one step.
        total: steps of the whole run.
        device: device of the networks.
        console: where to print.
        note: appended to the line.
        clock: a monotonic clock in seconds.
    """
    timer, began, single = StepTimer(total, clock=clock), clock(), world_size() == 1
    for _ in range(min(total, _MOST_STEPS if single else _STEPS_OF_RANKS)):
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # CUDA calls are asynchronous
        timer.step()
        if single and (timer.seconds_per_step() is not None or clock() - began > _MOST_SECONDS):
            break
    each = timer.seconds_per_step()
    if each is None:  # too few or too quick steps for the timer
        each = (clock() - began) / max(1, timer.done)
    say(console, f"{cost(each * total, each, device_name(device))}{note}")

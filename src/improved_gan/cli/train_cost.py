"""`improved-gan train --dry-run`: how long the training would take, estimated from a few steps; nothing is saved."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch
from rich.console import Console

from improved_gan.distributed import world_size
from improved_gan.recipes.experiment import Experiment
from improved_gan.training.loop import take_steps
from improved_gan.training.reporting import cost, say
from improved_gan.training.time_estimate import StepTimer

__all__ = ["device_name", "print_cost", "print_step_cost"]

_MOST_STEPS, _MOST_SECONDS = 1000, 60.0  # one second is measured, or a single step if that takes longer
_STEPS_OF_RANKS = 20  # several processes must take the same number of steps


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
    state, schedule = experiment.start(), experiment.schedule()
    batches = experiment.batches(state)
    steps = take_steps(state, batches, experiment.objective(state), schedule)
    total = schedule.epochs * batches.steps_per_epoch
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

"""`improved-gan train --dry-run`: how long the training would take, from a few steps that leave nothing behind."""

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

__all__ = ["place", "tell_cost", "tell_cost_of"]

_MOST_STEPS, _MOST_SECONDS = 1000, 60.0  # a second is measured, or one step that takes longer
_STEPS_OF_RANKS = 20  # several processes must make the same steps


def place(device: torch.device) -> str:
    """Where steps are made, in words."""
    return "this GPU" if device.type == "cuda" else "this processor"


def tell_cost(experiment: Experiment, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Make some steps of the experiment, from its start, and say how long all of them would take.

    Classes are not guessed for it: that alone may take minutes, once or a few times a run.

    Args:
        experiment: what would be trained.
        console: where to say it.
        clock: seconds that never run back.
    """
    pseudo_labeling = experiment.recipe.pseudo_labeling is not None
    experiment = replace(experiment, recipe=replace(experiment.recipe, pseudo_labeling=None))
    state, schedule = experiment.start(), experiment.schedule()
    batches = experiment.batches(state)
    steps = take_steps(state, batches, experiment.objective(state), schedule)
    total = schedule.epochs * batches.steps_per_epoch
    note = "; guessing labels comes on top" if pseudo_labeling else ""
    tell_cost_of(lambda: next(steps, None), total, experiment.device, console, note=note, clock=clock)


def tell_cost_of(
    step: Callable[[], object],
    total: int,
    device: torch.device,
    console: Console,
    *,
    note: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Make some steps, and say how long `total` of them would take.

    Args:
        step: makes one.
        total: of the whole run.
        device: where they are made.
        console: where to say it.
        note: is said after it.
        clock: seconds that never run back.
    """
    timer, began, alone = StepTimer(total, clock=clock), clock(), world_size() == 1
    for _ in range(min(total, _MOST_STEPS if alone else _STEPS_OF_RANKS)):
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # a GPU is only told what to do
        timer.step()
        if alone and (timer.seconds_per_step() is not None or clock() - began > _MOST_SECONDS):
            break
    each = timer.seconds_per_step()
    if each is None:  # so few or so quick steps that nobody asks
        each = (clock() - began) / max(1, timer.done)
    say(console, f"{cost(each * total, each, place(device))}{note}")

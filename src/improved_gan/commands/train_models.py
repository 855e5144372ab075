"""`improved-gan train --models N`: several models of one label split in one step each, a run folder for each.

Their seeds and the names of their folders are those of `improved-gan reproduce`, which goes on with them as its own.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import torch
from rich.console import Console

from improved_gan.commands.train_arguments import MAX_SEED
from improved_gan.commands.train_folder import check_unchanged, keep_listing
from improved_gan.commands.train_setup import TrainOptions, announce_run, keep_copy, prepare, resume, say_end
from improved_gan.data.folder import OwnImages
from improved_gan.recipes.experiment import Experiment
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.recipes.trained import OWN_RECIPE
from improved_gan.reproduction.plan import run_name, training_seed
from improved_gan.training.interruption import listen_for_signals
from improved_gan.training.loop import Run
from improved_gan.training.processes import Processes
from improved_gan.training.reporting import Reporter
from improved_gan.training.run_folder import RunFolder
from improved_gan.training.schedule import Schedule
from improved_gan.training.state import TrainingState
from improved_gan.training.together import why_apart
from improved_gan.training.together_loop import train_together

__all__ = ["train_models"]


@dataclass(frozen=True)
class _Model:
    experiment: Experiment
    folder: RunFolder
    state: TrainingState


def train_models(recipe: Recipe, options: TrainOptions, console: Console, *, own: OwnImages | None = None) -> Path:
    """Train `options.models` models to the end, from where each stands; those at the same step together.

    Returns:
        The folder of their run folders.

    Raises:
        RecipeError: models that have to be trained apart; nothing was written.
        DataError, RunError, DivergedError, InterruptedRunError: as for one model.
    """
    out = options.out or Path("runs") / f"{recipe.name}-{recipe.num_labels}"
    split = options.seed if options.split_seed is None else options.split_seed
    seeds = [training_seed(options.seed, number) for number in range(1, options.models + 1)]
    folders = [RunFolder(out / run_name(split, seed)) for seed in seeds]
    first = prepare(recipe, options, folders[0].path, Processes())
    experiments = [replace(first, seed=seed) for seed in seeds]
    announce_run(first, out, console, models=options.models)
    for experiment, folder in zip(experiments, folders, strict=True):
        if own is not None:
            check_unchanged(folder.path, own)
        folder.check(experiment.settings(), extendable=experiment.extendable())
    states = [experiment.start() for experiment in experiments]
    schedule = first.schedule(save_every_seconds=options.save_every)
    _check(first, states, schedule, options)
    if options.dry_run:
        console.print("dry run: nothing was trained or written")
        return out
    torch.manual_seed(first.seed)  # what follows does not depend on the start of the last one
    with ExitStack() as locks:
        models = [_Model(*parts) for parts in zip(experiments, folders, states, strict=True)]
        for model in models:
            locks.enter_context(model.folder.locked())
            model.folder.claim(model.experiment.settings(), extendable=model.experiment.extendable())
            if own is not None:
                keep_listing(model.folder.path, own)
            resume(model.state, model.folder, _fingerprint(model), console, Processes())
        # A kill while checkpoints were written may have left some a step ahead.
        for _, group in groupby(sorted(models, key=lambda model: model.state.step), lambda model: model.state.step):
            _train(list(group), schedule, options, console)
    return out


def _check(first: Experiment, states: Sequence[TrainingState], schedule: Schedule, options: TrainOptions) -> None:
    last = training_seed(options.seed, options.models)
    if last > MAX_SEED:
        raise RecipeError(f"--models {options.models}: the last seed would be {last}, more than {MAX_SEED}")
    reason = why_apart(states, first.objective(states[0]), schedule)
    reason = reason or ("compiled networks" if first.recipe.compile else "")
    reason = reason or ("scores while training" if options.score_with is not None else "")
    if reason:
        raise RecipeError(f"--models {options.models}: these models cannot be trained together ({reason}): train each")


def _train(models: list[_Model], schedule: Schedule, options: TrainOptions, console: Console) -> None:
    """All from the same step to the end."""
    batches = [model.experiment.batches() for model in models]
    total = schedule.epochs * batches[0].steps_per_epoch
    if options.recipe.endswith(".py"):
        for model in models:
            keep_copy(Path(options.recipe), model.folder.path / OWN_RECIPE, console)
    how = "already complete"
    if any(model.state.step < total or model.state.num_summed for model in models):
        how = "done"
        with listen_for_signals() as stop, ExitStack() as shown:
            reporters = [
                shown.enter_context(_reporter(model, total, console if model is models[0] else Console(quiet=True)))
                for model in models
            ]
            runs = [
                Run(model.state, schedule, model.folder, _fingerprint(model), model.experiment.evaluate, reporter)
                for model, reporter in zip(models, reporters, strict=True)
            ]
            objective = models[0].experiment.objective(models[0].state)
            train_together(runs, batches, objective, schedule, stop=stop)
    for model in models:
        say_end(model.folder, console, how)


def _reporter(model: _Model, total_steps: int, console: Console) -> Reporter:
    return Reporter(model.folder.tensorboard, total_steps=total_steps, first_step=model.state.step, console=console)


def _fingerprint(model: _Model) -> str:
    fingerprint: str = model.folder.recipe()["fingerprint"]
    return fingerprint

"""`improved-gan train`: start a run, or continue it where it stopped."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from improved_gan.commands.sample_scores import Score, sample_scores
from improved_gan.commands.train_cost import place, tell_cost
from improved_gan.commands.train_folder import announce, check_unchanged, keep_listing, look_at
from improved_gan.commands.train_models import train_models
from improved_gan.commands.train_setup import TrainOptions, announce_run, keep_copy, prepare, resume, say_end
from improved_gan.commands.trust import trust_or_ask
from improved_gan.data.folder import OwnImages
from improved_gan.distributed import rank
from improved_gan.recipes.experiment import Experiment
from improved_gan.recipes.folder import folder_recipe
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.recipes.registry import find_recipe
from improved_gan.training.interruption import listen_for_signals
from improved_gan.training.loop import train
from improved_gan.training.processes import Processes, joined
from improved_gan.training.reporting import Reporter, warn
from improved_gan.training.run_folder import RunFolder
from improved_gan.training.state import TrainingState

__all__ = ["TrainOptions", "run_training", "train_recipe"]


def run_training(options: TrainOptions, console: Console) -> Path:
    """Train from the start or from the newest checkpoint, to the last epoch; started by torchrun, in its processes.

    Returns:
        The run folder; with several models the folder of their run folders.

    Raises:
        RecipeError, DataError, RunError: what was asked for does not fit; nothing was changed.
        DivergedError, InterruptedRunError: see `training.loop.train`.
        LostProcessError, ToldElsewhereError: see `training.processes.joined`.
    """
    with joined() as processes:
        console = console if rank() == 0 else Console(quiet=True)
        if options.recipe == "folder":
            own = processes.first_on_each_machine(lambda: look_at(options.own, labels=options.labels))
            announce(own, console)
            recipe = _changed(folder_recipe(own.dataset, num_labels=options.labels), options)
            return train_recipe(recipe, options, console, own=own, processes=processes)
        recipe = _recipe(options)  # first: an unknown name is told as such
        options.own.refuse(options.recipe)
        return train_recipe(recipe, options, console, processes=processes)


def train_recipe(
    recipe: Recipe,
    options: TrainOptions,
    console: Console,
    *,
    own: OwnImages | None = None,
    processes: Processes | None = None,
) -> Path:
    """The same for a recipe at hand; `options.recipe` names where it came from, `own` a user's images."""
    processes = processes or Processes()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.models > 1:
        if own is not None:
            raise RecipeError("--models: images of your own are trained on with one model at a time")
        return train_models(recipe, options, console)
    out = options.out or Path("runs") / f"{recipe.name}-{recipe.num_labels}-seed{options.seed}"
    experiment = prepare(recipe, options, out, processes)
    announce_run(experiment, out, console)
    folder = RunFolder(out)
    score: Score | None = None
    if rank() == 0:
        if own is not None:
            check_unchanged(out, own)
        folder.check(experiment.settings(), extendable=experiment.extendable())
        score = sample_scores(
            experiment,
            options.score_with,
            num=options.score_num,
            every=options.score_every,
            console=console,
            trust=trust_or_ask(console, trust=options.trust),
        )
    if options.dry_run:
        tell_cost(experiment, console)
        console.print("dry run: nothing was trained or written")
        return out
    state = experiment.start(warn=partial(warn, console))
    processes.wait()  # what one of them finds wrong ends all before anything is written
    score = processes.by_main(score)
    with folder.locked() if rank() == 0 else nullcontext():
        if rank() == 0:
            folder.claim(experiment.settings(), extendable=experiment.extendable())
            if own is not None:
                keep_listing(out, own)
        _train(experiment, state, folder, options, console, processes, score)
    return out


def _recipe(options: TrainOptions) -> Recipe:
    """The recipe with what the command line changes."""
    return _changed(find_recipe(options.recipe, labels=options.labels), options)


def _changed(recipe: Recipe, options: TrainOptions) -> Recipe:
    names = ("epochs", "precision", "generator_steps", "micro_batch", "compile", "channels_last")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    return replace(recipe, **given)


def _train(
    experiment: Experiment,
    state: TrainingState,
    folder: RunFolder,
    options: TrainOptions,
    console: Console,
    processes: Processes,
    score: Score | None,
) -> None:
    """Load what there is, go on to the end."""
    fingerprint = folder.recipe()["fingerprint"] if rank() == 0 else ""
    batches = experiment.batches(state)
    schedule = experiment.schedule(save_every_seconds=options.save_every, score_every=options.score_every)
    total_steps = schedule.epochs * batches.steps_per_epoch
    resume(state, folder, fingerprint, console, processes)
    if options.recipe.endswith(".py") and rank() == 0:
        keep_copy(Path(options.recipe), folder, console)
    if state.step >= total_steps and not state.num_summed:  # else its last report is owed
        say_end(folder, console, "already complete")
        return
    events = folder.tensorboard if rank() == 0 else None
    where = place(experiment.device)
    reporter = Reporter(events, total_steps=total_steps, first_step=state.step, console=console, where=where)
    with listen_for_signals() as stop, processes.telling(), reporter:
        train(
            state,
            batches,
            experiment.objective(state),
            schedule,
            folder=folder,
            fingerprint=fingerprint,
            evaluate=experiment.evaluate,
            reporter=reporter,
            stop=stop,
            score=score,
        )
    say_end(folder, console, "done")

"""`improved-gan train`: start a run, or continue it where it stopped."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from improved_gan.cli.sample_scores import Score, sample_scores
from improved_gan.cli.train_cost import device_name, print_cost
from improved_gan.cli.train_folder import check_unchanged, load_images, print_report, write_listing
from improved_gan.cli.train_models import train_models
from improved_gan.cli.train_setup import (
    TrainOptions,
    build_experiment,
    copy_recipe_file,
    print_header,
    print_summary,
    restore,
)
from improved_gan.cli.trust import trust_or_ask
from improved_gan.data.folder import CustomImages
from improved_gan.distributed import rank
from improved_gan.recipes.experiment import Experiment
from improved_gan.recipes.folder import folder_recipe
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.recipes.registry import find_recipe
from improved_gan.training.loop import train
from improved_gan.training.process_group import ProcessGroup, init_process_group
from improved_gan.training.reporting import Reporter, warn
from improved_gan.training.run_folder import RunFolder
from improved_gan.training.signals import catch_signals
from improved_gan.training.state import TrainingState

__all__ = ["TrainOptions", "run_training", "train_recipe"]


def run_training(options: TrainOptions, console: Console) -> Path:
    """Train from the start or from the newest checkpoint to the last epoch; under torchrun, in several processes.

    Returns:
        The run folder; with several models the folder of their run folders.

    Raises:
        RecipeError, DataError, RunError: invalid options, data or run folder; nothing was changed.
        DivergedError, InterruptedRunError: see `training.loop.train`.
        RankLostError, ReportedByOtherRankError: see `training.process_group.init_process_group`.
    """
    with init_process_group() as processes:
        console = console if rank() == 0 else Console(quiet=True)
        if options.recipe == "folder":
            own = processes.local_rank0_first(lambda: load_images(options.own, labels=options.labels))
            print_report(own, console)
            recipe = _changed(folder_recipe(own.dataset, num_labels=options.labels), options)
            return train_recipe(recipe, options, console, own=own, processes=processes)
        recipe = _recipe(options)  # first, so that an unknown name gets its own message
        options.own.refuse(options.recipe)
        return train_recipe(recipe, options, console, processes=processes)


def train_recipe(
    recipe: Recipe,
    options: TrainOptions,
    console: Console,
    *,
    own: CustomImages | None = None,
    processes: ProcessGroup | None = None,
) -> Path:
    """The same for a given recipe; `options.recipe` is its name or file, `own` the custom images."""
    processes = processes or ProcessGroup()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.models > 1:
        if own is not None:
            raise RecipeError("--num-models: the recipe `folder` trains one model at a time")
        return train_models(recipe, options, console)
    out = options.out or Path("runs") / f"{recipe.name}-{recipe.num_labels}-seed{options.seed}"
    experiment = build_experiment(recipe, options, out, processes)
    print_header(experiment, out, console)
    folder = RunFolder(out)
    score: Score | None = None
    if rank() == 0:
        if own is not None:
            check_unchanged(out, own)
        folder.check(experiment.settings(), resumable_fields=experiment.resumable_fields())
        score = sample_scores(
            experiment,
            options.eval_network,
            num=options.eval_samples,
            every=options.eval_every,
            console=console,
            trust=trust_or_ask(console, trust=options.trust),
        )
    if options.dry_run:
        print_cost(experiment, console)
        console.print("dry run: nothing was trained or written")
        return out
    state = experiment.start(warn=partial(warn, console))
    processes.barrier()  # an error in one process ends all before anything is written
    score = processes.on_rank0(score)
    with folder.locked() if rank() == 0 else nullcontext():
        if rank() == 0:
            folder.create_or_match(experiment.settings(), resumable_fields=experiment.resumable_fields())
            if own is not None:
                write_listing(out, own)
        _train(experiment, state, folder, options, console, processes, score)
    return out


def _recipe(options: TrainOptions) -> Recipe:
    """The recipe with the changes of the command line."""
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
    processes: ProcessGroup,
    score: Score | None,
) -> None:
    """Restore the newest checkpoint and train to the end."""
    fingerprint = folder.recipe()["fingerprint"] if rank() == 0 else ""
    batches = experiment.batches(state)
    schedule = experiment.schedule(save_every_seconds=options.save_every, eval_every=options.eval_every)
    total_steps = schedule.epochs * batches.steps_per_epoch
    restore(state, folder, fingerprint, console, processes)
    if options.recipe.endswith(".py") and rank() == 0:
        copy_recipe_file(Path(options.recipe), folder, console)
    if state.step >= total_steps and not state.num_accumulated:  # else the last log entry is still missing
        print_summary(folder, console, "already complete")
        return
    events = folder.tensorboard if rank() == 0 else None
    where = device_name(experiment.device)
    reporter = Reporter(events, total_steps=total_steps, first_step=state.step, console=console, where=where)
    with catch_signals() as stop, processes.reporting_errors(), reporter:
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
    print_summary(folder, console, "done")

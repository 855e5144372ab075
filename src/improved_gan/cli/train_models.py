"""`improved-gan train --num-models N`: several models of one label split trained at once, a run folder for each.

Their seeds and folder names are those of `improved-gan reproduce`, which can continue these runs.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from improved_gan.cli.shared import MAX_SEED
from improved_gan.cli.train_cost import device_name, print_step_cost
from improved_gan.cli.train_setup import (
    TrainOptions,
    build_experiment,
    copy_recipe_file,
    print_header,
    print_summary,
    restore,
)
from improved_gan.distributed import world_size
from improved_gan.recipes.experiment import Experiment
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.reproduction.plan import run_name, training_seed
from improved_gan.training.errors import DivergedError
from improved_gan.training.loop import Run
from improved_gan.training.process_group import ProcessGroup
from improved_gan.training.reporting import Reporter, warn
from improved_gan.training.run_folder import RunFolder
from improved_gan.training.schedule import Schedule
from improved_gan.training.signals import catch_signals
from improved_gan.training.state import TrainingState
from improved_gan.training.vmapped import VmappedTraining, vmap_incompatibility
from improved_gan.training.vmapped_loop import train_vmapped

__all__ = ["train_models"]


@dataclass(frozen=True)
class _Model:
    experiment: Experiment
    folder: RunFolder
    state: TrainingState


def train_models(recipe: Recipe, options: TrainOptions, console: Console) -> Path:
    """Train `options.models` models to the end, each from its newest checkpoint; those at the same step together.

    Returns:
        The folder of their run folders.

    Raises:
        RecipeError: the models cannot be trained with vmap; nothing was written.
        DivergedError: some model diverged; raised after the others are done.
        DataError, RunError, InterruptedRunError: as for one model.
    """
    _check_options(recipe, options)
    out = options.out or Path("runs") / f"{recipe.name}-{recipe.num_labels}"
    split = options.seed if options.split_seed is None else options.split_seed
    seeds = [training_seed(options.seed, number) for number in range(1, options.models + 1)]
    folders = [RunFolder(out / run_name(split, seed)) for seed in seeds]
    first = build_experiment(recipe, options, folders[0].path, ProcessGroup())
    experiments = [replace(first, seed=seed) for seed in seeds]
    print_header(first, out, console, models=options.models)
    for experiment, folder in zip(experiments, folders, strict=True):
        folder.check(experiment.settings(), resumable_fields=experiment.resumable_fields())
    schedule = first.schedule(save_every_seconds=options.save_every)
    step = _try_one_step(first, schedule, options)
    if options.dry_run:
        print_step_cost(step, schedule.epochs * first.steps_per_epoch, first.device, console)
        console.print("dry run: nothing was trained or written")
        return out
    models = [_Model(one, folder, one.start()) for one, folder in zip(experiments, folders, strict=True)]
    torch.manual_seed(first.seed)  # independent of the initialization of the last model
    with ExitStack() as locks:
        for model in models:
            locks.enter_context(model.folder.locked())
            model.folder.create_or_match(
                model.experiment.settings(), resumable_fields=model.experiment.resumable_fields()
            )
        _train_groups(models, schedule, options, console)
    return out


def _check_options(recipe: Recipe, options: TrainOptions) -> None:
    """Check what can be checked from the options alone."""
    last = training_seed(options.seed, options.models)
    scored = recipe.score_samples or options.eval_network is not None or options.eval_every or options.eval_samples
    reasons = {
        f"the last seed would be {last}, more than {MAX_SEED}": last > MAX_SEED,
        "several processes share a batch": world_size() > 1,
        "scores while training": bool(scored),
        "compiled networks": recipe.compile,
    }
    if reason := ", ".join(words for words, holds in reasons.items() if holds):
        raise _refusal(options, reason)


def _try_one_step(first: Experiment, schedule: Schedule, options: TrainOptions) -> Callable[[], object]:
    """Run one step of all models, so that a vmap error is raised before anything is written.

    Returns:
        A function that runs such a step again.
    """
    states = [first.start() for _ in range(options.models if options.dry_run else 2)]
    objective = first.objective(states[0])
    if reason := vmap_incompatibility(states, objective, schedule):
        raise _refusal(options, reason)
    batch = next(first.batches(states[0]).epoch(0))
    try:
        vmapped = VmappedTraining(states, objective, schedule)
        vmapped.step([batch] * len(states))
    except RuntimeError as error:  # vmap's, or a GPU without memory
        raise _refusal(options, str(error).strip().splitlines()[0]) from error
    return lambda: vmapped.step([batch] * len(states))


def _refusal(options: TrainOptions, reason: str) -> RecipeError:
    return RecipeError(
        f"--num-models {options.models}: these models cannot be trained at once ({reason}): train them one by one, in "
        "`reproduce` with --no-vmap"
    )


def _train_groups(models: list[_Model], schedule: Schedule, options: TrainOptions, console: Console) -> None:
    """Train models at the same step together: a kill during checkpointing may leave some one step ahead."""
    groups: dict[int, list[tuple[_Model, list[Tensor]]]] = {}
    device = models[0].experiment.device
    for model in models:
        restore(model.state, model.folder, _fingerprint(model), console, ProcessGroup())
        groups.setdefault(model.state.step, []).append((model, _random_state(device)))
    diverged: list[DivergedError] = []
    for step in sorted(groups):
        group = [model for model, _ in groups[step]]
        if step:  # as saved with the first of them
            torch.set_rng_state(groups[step][0][1][0])
            for state in groups[step][0][1][1:]:
                torch.cuda.set_rng_state(state, device)
        try:
            _train(group, schedule, options, console)
        except DivergedError as error:
            diverged.append(error)
    if diverged:
        raise diverged[0]


def _random_state(device: torch.device) -> list[Tensor]:
    """Random state of the CPU, and of the GPU if the models are on one."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _train(models: list[_Model], schedule: Schedule, options: TrainOptions, console: Console) -> None:
    """Train all models from the same step to the end."""
    batches = [model.experiment.batches(model.state) for model in models]
    total = schedule.epochs * batches[0].steps_per_epoch
    if options.recipe.endswith(".py"):
        for model in models:
            copy_recipe_file(Path(options.recipe), model.folder, console)
    how = "already complete"
    if any(model.state.step < total or model.state.num_accumulated for model in models):
        how = "done"
        with catch_signals() as stop, ExitStack() as shown:
            reporters = [
                shown.enter_context(_reporter(model, total, console if model is models[0] else Console(quiet=True)))
                for model in models
            ]
            runs = [
                Run(
                    model.state,
                    schedule,
                    model.folder,
                    _fingerprint(model),
                    model.experiment.evaluate,
                    reporter,
                    number=number,
                    models=len(models),
                )
                for number, (model, reporter) in enumerate(zip(models, reporters, strict=True))
            ]
            objective = models[0].experiment.objective(models[0].state)
            train_vmapped(runs, batches, objective, schedule, stop=stop)
    for model in models:
        print_summary(model.folder, console, how)
        for diagnostic in (model.folder.read_log() or [{}])[-1].get("diagnostics", []):
            warn(console, f"{model.folder.path}: {diagnostic['message']}")


def _reporter(model: _Model, total_steps: int, console: Console) -> Reporter:
    return Reporter(
        model.folder.tensorboard,
        total_steps=total_steps,
        first_step=model.state.step,
        console=console,
        where=device_name(model.experiment.device),
    )


def _fingerprint(model: _Model) -> str:
    fingerprint: str = model.folder.recipe()["fingerprint"]
    return fingerprint

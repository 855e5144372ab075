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

from improved_gan.cli.shared import MAX_SEED, TrainingOptions
from improved_gan.cli.train_setup import (
    build_experiment,
    copy_recipe_file,
    device_name,
    print_header,
    print_step_cost,
    print_summary,
    restore,
)
from improved_gan.console import warn
from improved_gan.distributed import world_size
from improved_gan.recipes.recipe import PRECISIONS, Recipe, RecipeError
from improved_gan.reproduction.plan import run_name, training_seed
from improved_gan.runs import Run, loop
from improved_gan.runs.build import Experiment
from improved_gan.training.errors import DivergedError
from improved_gan.training.process_group import ProcessGroup
from improved_gan.training.reporting import Reporter
from improved_gan.training.signals import catch_signals
from improved_gan.training.state import TrainingState
from improved_gan.training.vmapped import VmappedTraining, vmap_incompatibility

__all__ = ["train_models"]


@dataclass(frozen=True)
class _Model:
    experiment: Experiment
    run: Run
    state: TrainingState


def train_models(
    recipe: Recipe,
    options: TrainingOptions,
    console: Console,
    *,
    num_models: int,
    data: Path | None = None,
    code: Path | None = None,
) -> Path:
    """Train several models to the end, each from its newest checkpoint; those at the same step together.

    Args:
        recipe: with the changes of the command line.
        options: of the runs; its seed is that of the first model.
        console: where to print.
        num_models: their number.
        data: folder with the data.
        code: the file that defines the recipe, if there is one.

    Returns:
        The folder of their run folders.

    Raises:
        RecipeError: the models cannot be trained with vmap; nothing was written.
        DivergedError: some model diverged; raised after the others are done.
        DataError, RunError, InterruptedRunError: as for one model.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    _check_options(recipe, options, num_models)
    out = options.out or Path("runs") / f"{recipe.name}-{recipe.num_labels}"
    split = options.seed if options.split_seed is None else options.split_seed
    seeds = [training_seed(options.seed, number) for number in range(1, num_models + 1)]
    runs = [Run(out / run_name(split, seed)) for seed in seeds]
    first = build_experiment(recipe, options, runs[0].path, ProcessGroup(), data=data)
    experiments = [replace(first, seed=seed) for seed in seeds]
    print_header(first, out, console, models=num_models)
    for experiment, run in zip(experiments, runs, strict=True):
        run.check(experiment.settings(), resumable_fields=experiment.resumable_fields())
    step = _try_one_step(first, num_models, tried=num_models if options.dry_run else 2)
    if options.dry_run:
        print_step_cost(step, recipe.epochs * first.steps_per_epoch, first.device, console)
        console.print("dry run: nothing was trained or written")
        return out
    models = [_Model(one, run, one.start()) for one, run in zip(experiments, runs, strict=True)]
    torch.manual_seed(first.seed)  # independent of the initialization of the last model
    with ExitStack() as locks:
        for model in models:
            locks.enter_context(model.run.locked())
            model.run.begin(model.experiment.settings(), resumable_fields=model.experiment.resumable_fields())
        _train_groups(models, options, console, code)
    return out


def _check_options(recipe: Recipe, options: TrainingOptions, num_models: int) -> None:
    """Check what can be checked from the options alone."""
    last = training_seed(options.seed, num_models)
    scored = recipe.score_samples or options.eval_network is not None or options.eval_every or options.eval_samples
    reasons = {
        f"the last seed would be {last}, more than {MAX_SEED}": last > MAX_SEED,
        "several processes share a batch": world_size() > 1,
        "scores while training": bool(scored),
        "compiled networks": recipe.compile,
    }
    if reason := ", ".join(words for words, holds in reasons.items() if holds):
        raise _refusal(num_models, reason)


def _try_one_step(first: Experiment, num_models: int, *, tried: int) -> Callable[[], object]:
    """Run one step of `tried` models, so that a vmap error is raised before anything is written.

    Returns:
        A function that runs such a step again.
    """
    states = [first.start() for _ in range(tried)]
    objective = first.objective(states[0])
    if reason := vmap_incompatibility(states, objective, micro_batch=first.recipe.micro_batch):
        raise _refusal(num_models, reason)
    batch = next(first.batches(states[0]).epoch(0))
    try:
        vmapped = VmappedTraining(states, objective, PRECISIONS[first.recipe.precision])
        vmapped.step([batch] * len(states))
    except RuntimeError as error:  # vmap's, or a GPU without memory
        raise _refusal(num_models, str(error).strip().splitlines()[0]) from error
    return lambda: vmapped.step([batch] * len(states))


def _refusal(num_models: int, reason: str) -> RecipeError:
    return RecipeError(
        f"--num-models {num_models}: these models cannot be trained at once ({reason}): train them one by one, in "
        "`reproduce` with --no-vmap"
    )


def _train_groups(models: list[_Model], options: TrainingOptions, console: Console, code: Path | None) -> None:
    """Train models at the same step together: a kill during checkpointing may leave some one step ahead."""
    groups: dict[int, list[tuple[_Model, list[Tensor]]]] = {}
    device = models[0].experiment.device
    for model in models:
        restore(model.state, model.run, console, ProcessGroup())
        if code is not None:
            copy_recipe_file(code, model.run, console)
        groups.setdefault(model.state.step, []).append((model, _random_state(device)))
    diverged: list[DivergedError] = []
    for step in sorted(groups):
        group = [model for model, _ in groups[step]]
        if step:  # as saved with the first of them
            torch.set_rng_state(groups[step][0][1][0])
            for state in groups[step][0][1][1:]:
                torch.cuda.set_rng_state(state, device)
        try:
            _train(group, options, console)
        except DivergedError as error:
            diverged.append(error)
    if diverged:
        raise diverged[0]


def _random_state(device: torch.device) -> list[Tensor]:
    """Random state of the CPU, and of the GPU if the models are on one."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _train(models: list[_Model], options: TrainingOptions, console: Console) -> None:
    """Train all models from the same step to the end."""
    batches = [model.experiment.batches(model.state) for model in models]
    total = models[0].experiment.recipe.epochs * batches[0].steps_per_epoch
    how = "already complete"
    if any(model.state.step < total or model.state.num_accumulated for model in models):
        how = "done"
        with catch_signals() as stop, ExitStack() as shown:
            reporters = [
                shown.enter_context(_reporter(model, total, console if model is models[0] else Console(quiet=True)))
                for model in models
            ]
            recorders = [
                loop.Recorder(
                    model.state,
                    model.experiment.recipe,
                    model.run,
                    model.experiment.evaluate,
                    reporter,
                    save_every=options.save_every,
                    number=number,
                    models=len(models),
                )
                for number, (model, reporter) in enumerate(zip(models, reporters, strict=True))
            ]
            loop.train_models(recorders, batches, models[0].experiment.objective(models[0].state), stop=stop)
    for model in models:
        print_summary(model.run, console, how)
        for diagnostic in model.run.log.last.get("diagnostics", []):
            warn(console, f"{model.run.path}: {diagnostic['message']}")


def _reporter(model: _Model, total_steps: int, console: Console) -> Reporter:
    return Reporter(
        model.run.tensorboard,
        total_steps=total_steps,
        first_step=model.state.step,
        console=console,
        where=device_name(model.experiment.device),
    )

"""`improved-gan train`: start a run, or continue it where it stopped."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from improved_gan.cli.custom_images import (
    ImageOptions,
    check_unchanged,
    embed_custom_images,
    load_images,
    print_report,
    write_listing,
)
from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.train_models import train_models
from improved_gan.cli.train_setup import (
    build_experiment,
    check_has_samples,
    copy_recipe_file,
    device_name,
    print_cost,
    print_header,
    print_summary,
    restore,
)
from improved_gan.cli.trust import trust_or_ask
from improved_gan.console import say, warn
from improved_gan.data.dataset import DataError
from improved_gan.data.folder import CustomImages
from improved_gan.distributed import rank
from improved_gan.embeddings.networks import INCEPTION, choose_network
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.network import SampleScores, some_of
from improved_gan.networks.interface import Generator
from improved_gan.recipes.embeddings import embeddings_recipe
from improved_gan.recipes.folder import folder_recipe
from improved_gan.recipes.recipe import OVERRIDABLE, Recipe
from improved_gan.recipes.registry import find_recipe
from improved_gan.runs import Run
from improved_gan.runs.build import Experiment
from improved_gan.runs.loop import Recorder, train
from improved_gan.runs.own_code import Trust
from improved_gan.training.process_group import ProcessGroup, init_process_group
from improved_gan.training.reporting import Reporter
from improved_gan.training.sampling import sample
from improved_gan.training.signals import catch_signals
from improved_gan.training.state import TrainingState

__all__ = ["run_training", "train_on_images", "train_recipe"]

Score = Callable[[Generator], dict[str, float]]

_NUM_SCORED = 10_000


def run_training(
    name: str,
    options: TrainingOptions,
    console: Console,
    *,
    labels: int | None = None,
    data: Path | None = None,
    num_models: int = 1,
) -> Path:
    """Train the recipe of that name or file from the start, or from the newest checkpoint, to the last epoch.

    Under torchrun in several processes.

    Returns:
        The run folder; with several models the folder of their run folders.

    Raises:
        RecipeError, DataError, RunError: invalid options, data or run folder; nothing was changed.
        DivergedError, InterruptedRunError: see `runs.loop.train`.
        RankLostError, ReportedByOtherRankError: see `training.process_group.init_process_group`.
    """
    with init_process_group() as processes:
        console = _console_of_rank0(console)
        recipe = _changed(find_recipe(name, labels=labels), options)
        code = Path(name) if name.endswith(".py") else None
        if num_models > 1:
            return train_models(recipe, options, console, num_models=num_models, data=data, code=code)
        return train_recipe(recipe, options, console, data=data, code=code, processes=processes)


def train_on_images(
    images: ImageOptions, options: TrainingOptions, console: Console, *, labels: int | None = None
) -> Path:
    """The same for a folder of images; `labels` is the number of labels to use, 0 for none."""
    with init_process_group() as processes:
        console = _console_of_rank0(console)
        own = processes.local_rank0_first(lambda: load_images(images, labels=labels))
        print_report(own, console)
        make_recipe = folder_recipe
        if images.network is not None or images.embeddings is not None:
            make_recipe, trust = embeddings_recipe, trust_or_ask(console, trust=options.trust)
            plain = own
            own = processes.local_rank0_first(
                lambda: embed_custom_images(plain, images, console, device=options.device, trust=trust)
            )
        recipe = _changed(make_recipe(own.dataset, num_labels=labels), options)
        return train_recipe(recipe, options, console, own=own, processes=processes)


def train_recipe(
    recipe: Recipe,
    options: TrainingOptions,
    console: Console,
    *,
    data: Path | None = None,
    code: Path | None = None,
    own: CustomImages | None = None,
    processes: ProcessGroup | None = None,
) -> Path:
    """The same for a given recipe, without initializing a process group.

    Args:
        recipe: with the changes of the command line.
        options: of the run.
        console: where to print.
        data: folder with the data.
        code: the file that defines the recipe, if there is one.
        own: the custom images of the recipe `folder`.
        processes: the processes of the run; None for a single one.
    """
    processes = processes or ProcessGroup()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    out = options.out or Path("runs") / f"{recipe.name}-{recipe.num_labels}-seed{options.seed}"
    experiment = build_experiment(recipe, options, out, processes, data=data)
    print_header(experiment, out, console)
    run = Run(out)
    score: Score | None = None
    if rank() == 0:
        if own is not None:
            check_unchanged(out, own)
        run.check(experiment.settings(), resumable_fields=experiment.resumable_fields())
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
    with run.locked() if rank() == 0 else nullcontext():
        if rank() == 0:
            run.begin(experiment.settings(), resumable_fields=experiment.resumable_fields())
            if own is not None:
                write_listing(out, own)
        restore(state, run, console, processes)
        if code is not None and rank() == 0:
            copy_recipe_file(code, run, console)
        _train(experiment, state, run, options, console, processes, score)
    return out


def sample_scores(
    experiment: Experiment,
    network: str | None,
    *,
    num: int | None,
    every: int,
    console: Console,
    trust: Trust = False,
) -> Score | None:
    """Scores of this run's samples, by name; None if no scores are wanted.

    They are only logged: training does not depend on them, and the random state does not change.
    A recipe that reports an Inception score (table 3) is scored by Inception unless another network is given; if its
    weights are not available, training continues without scores, with a warning.

    Raises:
        DataError, MetricError, RunError: the network does not exist or cannot be used.
    """
    if network is None and (num is not None or every):
        raise MetricError(
            "--eval-every and --eval-samples need --eval-network, a name as `evaluate --network` takes it"
        )
    wanted = num or experiment.recipe.score_samples or _NUM_SCORED
    if network is None and not experiment.recipe.score_samples:
        return None
    check_has_samples(experiment.recipe, experiment.data)
    device = str(experiment.device)
    try:
        chosen = choose_network(network or INCEPTION, device=device, warn=partial(warn, console), trust=trust)
    except DataError as error:
        if network is not None:
            raise
        warn(console, f"samples will not be scored at the end: {error}")
        return None
    say(console, f"{wanted} samples are scored by {chosen.name} (sha256 {chosen.digest[:12]})")
    real = experiment.data.test.images if len(experiment.data.test) else experiment.data.train.images
    scores = SampleScores(chosen, some_of(real, wanted), num=wanted)
    return lambda generator: scores.of(sample(generator, wanted, seed=1))


def _console_of_rank0(console: Console) -> Console:
    return console if rank() == 0 else Console(quiet=True)


def _changed(recipe: Recipe, options: TrainingOptions) -> Recipe:
    given = {name: value for name in OVERRIDABLE if (value := getattr(options, name)) is not None}
    return replace(recipe, **given)


def _train(
    experiment: Experiment,
    state: TrainingState,
    run: Run,
    options: TrainingOptions,
    console: Console,
    processes: ProcessGroup,
    score: Score | None,
) -> None:
    """Train from the state's step to the end."""
    batches = experiment.batches(state)
    total_steps = experiment.recipe.epochs * batches.steps_per_epoch
    if state.step >= total_steps and not state.num_accumulated:  # else the last log entry is still missing
        print_summary(run, console, "already complete")
        return
    events = run.tensorboard if rank() == 0 else None
    where = device_name(experiment.device)
    reporter = Reporter(events, total_steps=total_steps, first_step=state.step, console=console, where=where)
    recorder = Recorder(
        state,
        experiment.recipe,
        run,
        experiment.evaluate,
        reporter,
        score,
        save_every=options.save_every,
        score_every=options.eval_every,
    )
    with catch_signals() as stop, processes.reporting_errors(), reporter:
        train(recorder, batches, experiment.objective(state), stop=stop)
    print_summary(run, console, "done")

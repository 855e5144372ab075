"""`improved-gan train`: start a run, or continue it where it stopped."""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from improved_gan.commands.sample_scores import Score, sample_scores
from improved_gan.commands.train_folder import ImageOptions, announce, check_unchanged, keep_listing, look_at
from improved_gan.data.folder import OwnImages
from improved_gan.distributed import rank, world_size
from improved_gan.kernels import native
from improved_gan.recipes.experiment import Experiment
from improved_gan.recipes.folder import folder_recipe
from improved_gan.recipes.precision import settled
from improved_gan.recipes.recipe import Recipe
from improved_gan.recipes.registry import find_recipe
from improved_gan.recipes.sharing import check_share
from improved_gan.recipes.trained import OWN_RECIPE, choose_device
from improved_gan.reproduction.records import expectation, packaged_record
from improved_gan.training.checkpoints import load_newest, write_atomically
from improved_gan.training.errors import RunError
from improved_gan.training.interruption import listen_for_signals
from improved_gan.training.loop import train
from improved_gan.training.processes import Processes, joined, own_device
from improved_gan.training.reporting import Reporter, say, summary, warn
from improved_gan.training.run_folder import RunFolder
from improved_gan.training.state import TrainingState

__all__ = ["TrainOptions", "run_training", "train_recipe"]


@dataclass(frozen=True)
class TrainOptions:
    """What the command line says; None leaves the recipe's own value."""

    recipe: str
    labels: int | None = None
    seed: int = 1
    split_seed: int | None = None
    epochs: int | None = None
    data: Path | None = None
    out: Path | None = None
    device: str | None = None
    precision: str | None = None
    generator_steps: int | None = None
    micro_batch: int | None = None
    compile: bool | None = None
    channels_last: bool | None = None
    threads: int | None = None
    save_every: float = 60.0
    score_with: str | None = None
    score_every: int = 0
    score_num: int | None = None
    dry_run: bool = False
    own: ImageOptions = field(default_factory=ImageOptions)


def run_training(options: TrainOptions, console: Console) -> Path:
    """Train from the start or from the newest checkpoint, to the last epoch; started by torchrun, in its processes.

    Returns:
        The run folder.

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
        options.own.refuse(options.recipe)
        return train_recipe(_recipe(options), options, console, processes=processes)


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
    out = options.out or Path("runs") / f"{recipe.name}-{recipe.num_labels}-seed{options.seed}"
    experiment = _prepare(recipe, options, out, processes)
    _announce(experiment, out, console)
    folder = RunFolder(out)
    score: Score | None = None
    if rank() == 0:
        if own is not None:
            check_unchanged(out, own)
        folder.check(experiment.settings(), extendable=experiment.extendable())
        score = sample_scores(
            experiment, options.score_with, num=options.score_num, every=options.score_every, console=console
        )
    if options.dry_run:
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


def _prepare(recipe: Recipe, options: TrainOptions, out: Path, processes: Processes) -> Experiment:
    """Device, precision (a run that goes on keeps its own), data and label split."""
    check_share(recipe)
    device = choose_device(own_device(options.device))
    begun = RunFolder(out).precision() if rank() == 0 else None
    recipe = settled(recipe, torch.device(device), begun=processes.from_main(begun))
    split_seed = options.seed if options.split_seed is None else options.split_seed
    return processes.first_on_each_machine(
        lambda: Experiment.prepare(
            recipe, seed=options.seed, split_seed=split_seed, data_folder=options.data, device=device
        )
    )


def _recipe(options: TrainOptions) -> Recipe:
    """The recipe with what the command line changes."""
    return _changed(find_recipe(options.recipe, labels=options.labels), options)


def _changed(recipe: Recipe, options: TrainOptions) -> Recipe:
    names = ("epochs", "precision", "generator_steps", "micro_batch", "compile", "channels_last")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    return replace(recipe, **given)


def _keep_copy(file: Path, kept: Path, console: Console) -> None:
    """Keep the user's recipe file with the run; its values are compared elsewhere, its code only here."""
    text = file.read_bytes()
    if kept.is_file() and kept.read_bytes() != text:
        warn(console, f"{file} has changed since the run began; its values are the same, so the run goes on with it")
    write_atomically(kept, text)


def _announce(experiment: Experiment, out: Path, console: Console) -> None:
    recipe, data, split = experiment.recipe, experiment.data, experiment.split
    say(console, f"{recipe.name}: {recipe.summary}")
    say(
        console,
        f"{len(split.indices)} labels of {len(split.training_indices())} training images (split seed {split.seed}, "
        f"sha256 {split.digest[:12]}), {len(data.test)} {data.test_kind} images; paper: {recipe.paper}",
    )
    say(
        console,
        f"{recipe.epochs} epochs of {experiment.steps_per_epoch} steps, {recipe.precision} on "
        f"{experiment.device}, {torch.get_num_threads()} threads{_how(recipe)}; run folder {out}",
    )
    dense = not recipe.channels_last and recipe.precision == "bfloat16" and experiment.device.type == "cpu"
    if dense and (reason := native.why_not()):  # the kernels are those of the dense pair
        say(console, f"without compiled kernels, so about half as fast as could be: {reason}")
    for line in expectation(recipe, packaged_record(recipe.name)):
        say(console, line)


def _how(recipe: Recipe) -> str:
    """What else is particular about how it is computed."""
    several = f", {world_size()} processes with {recipe.batch_size // world_size()} rows of each batch"
    parts = {
        several: world_size() > 1,
        f", {recipe.generator_steps} generator steps each": recipe.generator_steps > 1,
        f", {recipe.micro_batch} rows at a time": recipe.micro_batch > 0,
        ", channels last": recipe.channels_last,
    }
    return "".join(text for text, holds in parts.items() if holds)


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
    batches = experiment.batches()
    schedule = experiment.schedule(save_every_seconds=options.save_every, score_every=options.score_every)
    total_steps = schedule.epochs * batches.steps_per_epoch
    _resume(state, folder, fingerprint, console, processes)
    if options.recipe.endswith(".py") and rank() == 0:
        _keep_copy(Path(options.recipe), folder.path / OWN_RECIPE, console)
    if state.step >= total_steps and not state.num_summed:  # else its last report is owed
        _say_end(folder, console, "already complete")
        return
    events = folder.tensorboard if rank() == 0 else None
    reporter = Reporter(events, total_steps=total_steps, first_step=state.step, console=console)
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
    _say_end(folder, console, "done")


def _resume(state: TrainingState, folder: RunFolder, fingerprint: str, console: Console, processes: Processes) -> None:
    """Become the newest checkpoint, which rank 0 reads for all."""
    tensors = None
    if rank() == 0:
        tensors = load_newest(folder.checkpoints, fingerprint=fingerprint, warn=partial(warn, console))
    tensors = processes.from_main(tensors)
    if tensors is not None:
        try:
            state.load(tensors)
        except (RuntimeError, KeyError) as error:
            raise RunError(f"the checkpoint in {folder.path} does not fit this version's networks: {error}") from error
        say(console, f"continuing at step {state.step}")
    if rank() == 0:
        folder.rewind_log(state.step)


def _say_end(folder: RunFolder, console: Console, how: str) -> None:
    if rank() != 0:
        return
    log = folder.read_log()
    last = summary(log[-1]) if log else "no report"
    say(console, f"{how}: {last}")
    say(console, f"samples in {folder.samples}, log in {folder.log_file}")

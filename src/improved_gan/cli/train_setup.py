"""Setup before the first step of a run and summary after the last; the same for one and for several models."""

import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from improved_gan.cli.train_folder import ImageOptions
from improved_gan.distributed import rank, world_size
from improved_gan.kernels import cpp_extension
from improved_gan.recipes.experiment import Experiment
from improved_gan.recipes.load_run import choose_device
from improved_gan.recipes.precision import resolve_precision
from improved_gan.recipes.process_sharding import check_batch_divisible
from improved_gan.recipes.recipe import Recipe
from improved_gan.reproduction.expected_results import expected_results, packaged_record
from improved_gan.training.checkpoints import load_newest
from improved_gan.training.errors import RunError
from improved_gan.training.process_group import ProcessGroup, local_device
from improved_gan.training.reporting import say, summary, warn
from improved_gan.training.run_folder import RunFolder
from improved_gan.training.state import TrainingState

__all__ = ["TrainOptions", "build_experiment", "copy_recipe_file", "print_header", "print_summary", "restore"]


@dataclass(frozen=True)
class TrainOptions:
    """Options of the command line; None: the recipe's value."""

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
    eval_network: str | None = None
    eval_every: int = 0
    eval_samples: int | None = None
    trust: bool = False
    models: int = 1
    dry_run: bool = False
    own: ImageOptions = field(default_factory=ImageOptions)


def build_experiment(recipe: Recipe, options: TrainOptions, out: Path, processes: ProcessGroup) -> Experiment:
    """Device, precision (a run that continues in `out` keeps its precision), data and label split."""
    check_batch_divisible(recipe)
    device = choose_device(local_device(options.device))
    begun = RunFolder(out).precision() if rank() == 0 else None
    recipe = resolve_precision(recipe, torch.device(device), recorded=processes.broadcast_from_rank0(begun))
    split_seed = options.seed if options.split_seed is None else options.split_seed
    return processes.local_rank0_first(
        lambda: Experiment.prepare(
            recipe, seed=options.seed, split_seed=split_seed, data_folder=options.data, device=device
        )
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
        f"{experiment.device}, {torch.get_num_threads()} threads{_how(recipe)}; {where} {out}",
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


def _how(recipe: Recipe) -> str:
    """Settings that affect only how steps are computed."""
    several = f", {world_size()} processes with {recipe.batch_size // world_size()} rows of each batch"
    parts = {
        several: world_size() > 1,
        f", {recipe.generator_steps} generator steps each": recipe.generator_steps > 1,
        f", {recipe.micro_batch} rows at a time": recipe.micro_batch > 0,
        ", channels last": recipe.channels_last,
    }
    return "".join(text for text, holds in parts.items() if holds)


def restore(
    state: TrainingState, folder: RunFolder, fingerprint: str, console: Console, processes: ProcessGroup
) -> None:
    """Load the newest checkpoint, which rank 0 reads for all ranks."""
    tensors = None
    if rank() == 0:
        tensors = load_newest(folder.checkpoints, fingerprint=fingerprint, warn=partial(warn, console))
    tensors = processes.broadcast_from_rank0(tensors)
    if tensors is not None:
        try:
            state.load(tensors)
        except (RuntimeError, KeyError) as error:
            raise RunError(f"the checkpoint in {folder.path} does not fit this version's networks: {error}") from error
        say(console, f"continuing at step {state.step}")
    if rank() == 0:
        folder.rewind_log(state.step)


def copy_recipe_file(file: Path, folder: RunFolder, console: Console) -> None:
    """Copy the recipe file into the run folder; warn if its code has changed (its values are compared elsewhere)."""
    text, before = file.read_bytes(), folder.recipe().get("code_sha256")
    if before not in (None, hashlib.sha256(text).hexdigest()):
        warn(console, f"{file} has changed since the run began; its values are the same, so the run continues with it")
    folder.keep_code(text)


def print_summary(folder: RunFolder, console: Console, how: str) -> None:
    """Print the last log entry and the paths of the results."""
    if rank() != 0:
        return
    log = folder.read_log()
    last = summary(log[-1]) if log else "no report"
    say(console, f"{how}: {last}")
    say(console, f"samples in {folder.samples}, log in {folder.log_file}")

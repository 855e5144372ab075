"""The run folder: recipe.json, log.jsonl, checkpoints/, samples/, tensorboard/.

recipe.json has all settings that are needed to build the run again; the checkpoints carry its fingerprint.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from improved_gan.data.dataset import to_float01
from improved_gan.io import write_atomically
from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.recipes.embeddings import embeddings_again
from improved_gan.recipes.folder import folder_again
from improved_gan.recipes.recipe import AUTO, Recipe
from improved_gan.recipes.registry import built_in, from_code
from improved_gan.runs import identity
from improved_gan.runs.log import Log, append_report, last_report, read_log, rewind_log
from improved_gan.runs.nearby_runs import check_vacant, no_run
from improved_gan.runs.networks import trained_networks
from improved_gan.runs.own_code import Trust, trusted_code
from improved_gan.training.errors import RunError
from improved_gan.training.state import load_newest, newest_checkpoint, save_checkpoint

__all__ = ["Networks", "Run"]

_LOCK_TIMEOUT = 0.5  # seconds: `is_locked` holds the lock for a moment


class Run:
    """One run: its identity, log, checkpoints and networks. Whoever wants one of these asks this class.

    Nothing is read or written before it is needed.

    Args:
        path: its folder, which `begin` creates.
        name: a short name for reports; default: that of the folder.
    """

    def __init__(self, path: str | Path, *, name: str = "") -> None:
        path = Path(path)
        self.path, self.name = path, name or path.resolve().name
        self.recipe_file = path / "recipe.json"
        self.code_file = path / "recipe.py"  # a copy of the user's recipe file, where the run came from one
        self.log_file = path / "log.jsonl"
        self.checkpoints = path / "checkpoints"
        self.samples = path / "samples"
        self.tensorboard = path / "tensorboard"

    # Identity: recipe.json

    @property
    def begun(self) -> bool:
        """Whether the folder holds a run."""
        return self.recipe_file.is_file()

    @cached_property
    def _stored(self) -> dict[str, Any]:
        """The content of recipe.json."""
        if not self.begun:
            raise RunError(no_run(self.path))
        return identity.read(self.recipe_file)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All settings of the run (`runs.identity`).

        Raises:
            RunError: recipe.json is missing, cannot be read, was changed, or lacks a setting.
        """
        settings: dict[str, Any] = self._stored["settings"]
        if problems := identity.missing_settings(settings):
            raise RunError(
                f"{self.recipe_file} does not describe a run ({', '.join(problems)} missing or of the wrong type): "
                "restore it, or start a new run"
            )
        return settings

    @property
    def fingerprint(self) -> str:
        """Of the settings, as each checkpoint has it."""
        return str(self._stored["fingerprint"])

    @property
    def code_sha256(self) -> str | None:
        """Hash of the recipe file that the run was made from; None for a built-in recipe."""
        return self._stored.get("code_sha256")

    def check(self, settings: Mapping[str, Any], *, resumable_fields: Sequence[str] = ()) -> None:
        """Check that the folder is free for this run or already has it; nothing is written.

        Args:
            settings: all settings of the run, JSON-serializable.
            resumable_fields: names of numbers that a resume may increase (epochs).

        Raises:
            RunError: the folder has other files, or a run with other settings (the message lists the differences).
        """
        if not self.recipe_file.exists():
            check_vacant(self.path)
            return
        self._refuse(identity.differences(self._stored["settings"], settings, ignored=resumable_fields))
        for key in resumable_fields:
            if settings[key] < self._stored["settings"][key]:
                raise RunError(
                    f"{self.path} was started with {key} {self._stored['settings'][key]}: give at least that"
                )

    def check_planned(self, recipe: Recipe, *, seed: int, split_seed: int) -> None:
        """Check the same before the data are loaded: a run in the folder, if any, is the planned one, not longer.

        Raises:
            RunError: it is another run.
        """
        if not self.begun:
            return
        there = self.settings
        if recipe.precision == AUTO:  # a run that continues keeps the precision that its machine chose
            recipe = replace(recipe, precision=there["values"]["precision"])
        planned = {
            "recipe": recipe.name,
            "seed": seed,
            "epochs": recipe.epochs,
            "label_split": {"seed": split_seed, "num_labels": recipe.num_labels},
            "values": {name: value for name, value in recipe.as_dict().items() if name != "epochs"},
        }
        may_grow = there["epochs"] < recipe.epochs and not recipe.lr_decay_fraction
        self._refuse(identity.differences(there, planned, partly=True, ignored=["epochs"] * may_grow))

    def begin(self, settings: Mapping[str, Any], *, resumable_fields: Sequence[str] = ()) -> None:
        """Create the folder for this run, after `check`; the arguments are the same."""
        self.check(settings, resumable_fields=resumable_fields)
        self.path.mkdir(parents=True, exist_ok=True)
        for left_over in (*self.path.glob(".*.tmp"), *self.checkpoints.glob(".*.tmp")):
            left_over.unlink()  # of a process that was killed while writing
        settings = identity.resumed(self._stored["settings"] if self.begun else settings, settings, resumable_fields)
        self._write(settings, resumable_fields, self.code_sha256 if self.begun else None)

    def keep_code(self, content: bytes) -> bool:
        """Copy the user's recipe file, with its SHA-256 in recipe.json: no other content is ever executed.

        Returns:
            Whether there was a copy of other content.
        """
        digest, before = hashlib.sha256(content).hexdigest(), self.code_sha256
        write_atomically(self.code_file, content)
        self._write(self._stored["settings"], self._stored["resumable_fields"], digest)
        return before not in (None, digest)

    def _write(self, settings: Mapping[str, Any], resumable_fields: Sequence[str], code_sha256: str | None) -> None:
        write_atomically(self.recipe_file, identity.content(settings, resumable_fields, code_sha256))
        self._forget("_stored", "settings")

    def _refuse(self, different: Mapping[str, Any]) -> None:
        if different:
            changes = identity.listed(different)
            raise RunError(f"{self.path} holds another run ({changes}): give its settings, or another --out")

    def _forget(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)

    # Facts about the run

    @property
    def class_names(self) -> list[str]:
        """Names of the K classes."""
        return list(self.settings["class_names"])

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image."""
        return tuple(self.settings["image_shape"])

    @property
    def embedding(self) -> dict[str, str] | None:
        """Of a run on embeddings, their network: network, sha256, resize, spec, weights."""
        return self.settings.get("embedding")

    @property
    def epochs(self) -> int:
        """Epochs planned."""
        return int(self.settings["epochs"])

    @property
    def has_generator(self) -> bool:
        """Whether it trains a GAN, and so makes samples."""
        return self.settings["values"].get("generator") is not None

    @property
    def num_labels(self) -> int | None:
        """The label budget; None if the run has no labels."""
        return int(self.settings["label_split"]["num_labels"]) or None

    @property
    def precision(self) -> str | None:
        """Of the forward passes; None if the folder holds no run."""
        return str(self.settings["values"]["precision"]) if self.begun else None

    @property
    def finished(self) -> bool:
        """Whether the last planned epoch is reported."""
        return self.log.epoch >= self.epochs

    @property
    def sample_grids(self) -> dict[int, Path]:
        """The file of the sample grid of each epoch that has one, in order."""
        files = {file: re.fullmatch(r"epoch-(\d+)\.png", file.name) for file in self.samples.glob("epoch-*.png")}
        return dict(sorted((int(match[1]), file) for file, match in files.items() if match))

    # Lock

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder: only one process may train in it.

        Raises:
            RunError: another process is training in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=_LOCK_TIMEOUT)
        except Timeout as error:
            raise RunError(f"another process is training in {self.path}: wait for it, or give another --out") from error
        try:
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether a process is training here now, on this machine or another one that shares the folder."""
        if not (self.path / ".lock").exists():
            return False
        try:
            with FileLock(self.path / ".lock").acquire(timeout=0):
                return False
        except Timeout:
            return True

    # Log

    @cached_property
    def log(self) -> Log:
        """The log as it was when first asked for, or after this object last changed it."""
        return read_log(self.log_file)

    def last_report(self) -> dict[str, Any]:
        """The newest report on disk, also while another process trains; empty if there is none."""
        return last_report(self.log_file)

    def append_report(self, report: Mapping[str, Any]) -> None:
        """Add one report to log.jsonl."""
        append_report(self.log_file, report)
        self._forget("log")

    def rewind_log(self, step: int) -> None:
        """Drop reports after `step`: the resumed run makes them again."""
        rewind_log(self.log_file, step)
        self._forget("log")

    # Checkpoints and networks

    def newest_checkpoint(self) -> Path | None:
        """The newest checkpoint, damaged or not; None if there is none."""
        name = newest_checkpoint(self.checkpoints)
        return None if name is None else self.checkpoints / name

    def save_checkpoint(self, step: int, tensors: dict[str, Tensor]) -> str:
        """Write a checkpoint and return its name.

        Raises:
            RunError: it cannot be written; earlier checkpoints stay as they are.
        """
        return save_checkpoint(self.checkpoints, step, tensors, fingerprint=self.fingerprint).name

    def load_checkpoint(self, *, warn: Callable[[str], None]) -> dict[str, Tensor] | None:
        """The newest undamaged checkpoint (`training.checkpoints.load_newest`); None if there is none."""
        return load_newest(self.checkpoints, fingerprint=self.fingerprint, warn=warn)

    def recipe(self, *, trust: Trust = False) -> Recipe:
        """The recipe: from the copy of its recipe file, which is executed, or the built-in recipe of that name.

        Args:
            trust: whether to execute the copy (see `runs.own_code`).

        Raises:
            RunError: code that is missing, changed or not trusted.
            RecipeError: no such recipe, or a file that defines none.
        """
        labels = self.settings["label_split"]["num_labels"]
        if self.code_sha256 is not None:
            code = trusted_code(self.code_file, self.code_sha256, trust)
            return from_code(code, self.code_file, labels=labels)
        if again := {"folder": folder_again, "embeddings": embeddings_again}.get(self.settings["recipe"]):
            return again(self.settings, run=self.path)
        return built_in(self.settings["recipe"], labels=labels)

    def load(self, *, device: str = "cpu", warn: Callable[[str], None], trust: Trust = False) -> "Networks":
        """Build the networks and load the newest undamaged checkpoint.

        Args:
            device: of the networks.
            warn: called with a line about each damaged checkpoint that was skipped.
            trust: whether to execute the copy of a recipe file in the folder.

        Raises:
            RunError: no run folder, no checkpoint, one that does not fit, or code that is not trusted.
        """
        recipe = identity.with_recorded_settings(self.recipe(trust=trust), self.settings, file=self.recipe_file)
        tensors = self.load_checkpoint(warn=warn)
        if tensors is None:
            raise RunError(f"{self.path} has no checkpoint yet: train it first")
        try:
            generator, discriminator = trained_networks(recipe, tensors)
            step = int(tensors["progress.step"])
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise RunError(f"the checkpoint in {self.path} does not fit the networks of its recipe: {error}") from error
        generator = generator if generator is None else generator.to(device).eval()
        return Networks(self, generator, discriminator.to(device).eval(), step)


@dataclass(frozen=True)
class Networks:
    """The trained networks in evaluation mode: D with averaged weights, G as it makes samples; what makes D's input."""

    run: Run
    maybe_generator: Generator | None
    discriminator: Discriminator
    step: int
    inputs: Callable[[Tensor], Tensor] = to_float01

    @property
    def generator(self) -> Generator:
        """The generator.

        Raises:
            RunError: the run trains no GAN.
        """
        if self.maybe_generator is None:
            raise RunError(f"{self.run.path} trains no GAN (recipe {self.run.settings['recipe']}): it has no samples")
        return self.maybe_generator

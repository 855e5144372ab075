"""The run folder: recipe.json, log.jsonl, checkpoints/, samples/, tensorboard/.

recipe.json holds all that is needed to build the run again; its fingerprint ties the checkpoints to it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.errors import RunError
from improved_gan.training.nearby_runs import no_run
from improved_gan.training.report_line import read_report_line

__all__ = ["TEXTS", "RunFolder"]

_PATIENCE = 0.5  # seconds: whoever only looks whether the folder is locked holds the lock for a moment
TEXTS = ("summary", "paper")  # values of a recipe that say what it is and change nothing


class RunFolder:
    """Paths and records of one run.

    Args:
        path: the folder; made by `claim`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe_file = path / "recipe.json"
        self.code_file = path / "recipe.py"  # a copy of the user's recipe file, where the run came from one
        self.log_file = path / "log.jsonl"
        self.checkpoints = path / "checkpoints"
        self.samples = path / "samples"
        self.tensorboard = path / "tensorboard"

    def create_or_match(self, settings: dict[str, Any], *, resumable_fields: tuple[str, ...] = ()) -> None:
        """Make the folder this run's, or check that it is already.

        Args:
            settings: what the run is, as JSON would hold it.
            resumable_fields: names of numbers that a later start may raise (epochs), not part of the fingerprint.

        Raises:
            RunError: the folder holds something else, or a run with other settings (the differences are named).
        """
        self.check(settings, resumable_fields=resumable_fields)
        self.path.mkdir(parents=True, exist_ok=True)
        for left_over in (*self.path.glob(".*.tmp"), *self.checkpoints.glob(".*.tmp")):
            left_over.unlink()  # of a process that was killed while it wrote
        code_sha256 = self.recipe().get("code_sha256") if self.recipe_file.exists() else None
        self._write(self._keep_descriptions(json.loads(json.dumps(settings))), resumable_fields, code_sha256)

    def keep_code(self, content: bytes) -> None:
        """Keep the recipe file that the run is made from, and its SHA-256 in recipe.json: only that is ever executed.

        Raises:
            RunError: recipe.json cannot be read.
        """
        stored = self.recipe()
        write_atomically(self.code_file, content)
        self._write(stored["settings"], tuple(stored["resumable_fields"]), hashlib.sha256(content).hexdigest())

    def check(self, settings: dict[str, Any], *, resumable_fields: tuple[str, ...] = ()) -> None:
        """Whether `claim` would be granted; nothing is written.

        Raises:
            RunError: as `claim` does.
        """
        settings = json.loads(json.dumps(settings))
        if not self.recipe_file.exists():
            self._check_vacant()
            return
        stored = self.recipe()
        now, there = _flat(settings), _flat(stored["settings"])
        compared = {*now, *there} - {*resumable_fields, *TEXTS}
        different = sorted(key for key in compared if now.get(key) != there.get(key))
        if different:
            changes = ", ".join(f"{key}: {_short(there.get(key))} there" for key in different)
            raise RunError(f"{self.path} holds another run ({changes}): give its settings, or another --out")
        for key in resumable_fields:
            if settings[key] < stored["settings"][key]:
                raise RunError(f"{self.path} was started with {key} {stored['settings'][key]}: give at least that")

    def _keep_descriptions(self, settings: dict[str, Any]) -> dict[str, Any]:
        """So that the fingerprint stays that of the checkpoints when a recipe is only worded anew."""
        if not self.recipe_file.exists() or not isinstance(settings.get("values"), dict):
            return settings
        there = self.recipe()["settings"].get("values", {})
        return settings | {"values": settings["values"] | {key: there[key] for key in TEXTS if key in there}}

    def _check_vacant(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file: give another --out")
        if self.path.is_dir() and any(not _is_ours(entry) for entry in self.path.iterdir()):
            raise RunError(f"{self.path} is not empty and holds no run (no recipe.json): give another --out")

    def recipe(self) -> dict[str, Any]:
        """What recipe.json says: settings and fingerprint.

        Raises:
            RunError: it is missing or cannot be read.
        """
        if not self.recipe_file.is_file():
            raise RunError(no_run(self.path))
        try:
            stored: dict[str, Any] = json.loads(self.recipe_file.read_text(encoding="utf-8"))
            fingerprint = _fingerprint(stored["settings"], tuple(stored["resumable_fields"]))
        except (OSError, LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
            problem = f"{type(error).__name__}: {error}"
            raise RunError(f"{self.path} is no run folder: recipe.json cannot be read ({problem})") from error
        if stored.get("fingerprint") != fingerprint or not isinstance(stored.get("code_sha256", ""), str):
            raise RunError(f"{self.recipe_file} was changed after the run began: restore it, or start a new run")
        return stored

    def trained_recipe(self) -> dict[str, Any]:
        """The same of a run of a recipe, whose settings are looked through: others can be relied upon to be there.

        Raises:
            RunError: it is missing, cannot be read, or lacks a setting.
        """
        stored = self.recipe()
        problems = [name for name, fits in _SETTINGS.items() if not fits(stored["settings"].get(name))]
        if problems:
            raise RunError(
                f"{self.recipe_file} does not describe a run ({', '.join(problems)} missing or of another kind): "
                "restore it, or start a new run"
            )
        return stored

    def precision(self) -> str | None:
        """That of the run which the folder holds; None where it holds none.

        Raises:
            RunError: recipe.json cannot be read.
        """
        if not self.recipe_file.exists():
            return None
        precision: str | None = self.recipe()["settings"].get("values", {}).get("precision")
        return precision

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process may train in a folder.

        Raises:
            RunError: another one does.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout as error:
            raise RunError(f"another process is training in {self.path}: wait for it, or give another --out") from error
        try:
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether a process is training here at this moment, on this machine or on one that shares the folder."""
        if not (self.path / ".lock").exists():
            return False
        try:
            with FileLock(self.path / ".lock").acquire(timeout=0):
                return False
        except Timeout:
            return True

    def append_log(self, line: Mapping[str, Any]) -> None:
        """Add one report to log.jsonl."""
        with self.log_file.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read_log(self) -> list[dict[str, Any]]:
        """Every report so far; a line that a crash cut short or damaged is passed over."""
        if not self.log_file.exists():
            return []
        lines = map(read_report_line, self.log_file.read_bytes().splitlines())
        return [line for line in lines if line is not None]

    def rewind_log(self, step: int) -> None:
        """Drop reports from after `step`: they will be made again."""
        kept = [line for line in self.read_log() if line["step"] <= step]
        write_atomically(self.log_file, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def _write(self, settings: dict[str, Any], resumable_fields: tuple[str, ...], code_sha256: str | None) -> None:
        content = {
            "fingerprint": _fingerprint(settings, resumable_fields),
            "resumable_fields": list(resumable_fields),
            "settings": settings,
        } | ({} if code_sha256 is None else {"code_sha256": code_sha256})
        write_atomically(self.recipe_file, json.dumps(content, indent=1).encode())


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_split(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(value.get(key)) for key in ("seed", "num_labels", "num_images"))


_SETTINGS: dict[str, Callable[[Any], bool]] = {
    "recipe": lambda value: isinstance(value, str),
    "seed": _is_number,
    "epochs": lambda value: _is_number(value) and value > 0,
    "values": lambda value: isinstance(value, dict) and isinstance(value.get("precision"), str),
    "label_split": _is_split,
    "class_names": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    "image_shape": lambda value: (
        isinstance(value, list) and len(value) == 3 and all(_is_number(one) and 0 < one < 1 << 16 for one in value)
    ),
}


def _fingerprint(settings: Mapping[str, Any], resumable_fields: tuple[str, ...]) -> str:
    fixed = {key: value for key, value in settings.items() if key not in resumable_fields}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def _is_ours(entry: Path) -> bool:
    """What a start that was killed may leave in a new folder."""
    return entry.name == ".lock" or (entry.name.startswith(".recipe.json.") and entry.name.endswith(".tmp"))


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values beside the other settings, so that a difference is named, not hidden in a long text."""
    values = settings.get("values")
    if not isinstance(values, dict):
        return dict(settings)
    return {key: value for key, value in settings.items() if key != "values"} | values


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

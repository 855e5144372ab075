"""The run folder: recipe.json, log.jsonl, checkpoints/, samples/, tensorboard/.

recipe.json has all settings that are needed to build the run again; the checkpoints carry its fingerprint.
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

__all__ = ["DESCRIPTIVE_FIELDS", "RunFolder"]

_LOCK_TIMEOUT = 0.5  # seconds: `is_locked` holds the lock for a moment
DESCRIPTIVE_FIELDS = ("summary", "paper")  # values of a recipe that do not influence training


class RunFolder:
    """Paths and records of one run.

    Args:
        path: the folder; created by `create_or_match`.
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
        """Create the folder for this run, or check that it already has this run.

        Args:
            settings: all settings of the run, JSON-serializable.
            resumable_fields: names of numbers that a resume may increase (epochs); not part of the fingerprint.

        Raises:
            RunError: the folder has other files, or a run with other settings (the message lists the differences).
        """
        self.check(settings, resumable_fields=resumable_fields)
        self.path.mkdir(parents=True, exist_ok=True)
        for left_over in (*self.path.glob(".*.tmp"), *self.checkpoints.glob(".*.tmp")):
            left_over.unlink()  # of a process that was killed while writing
        code_sha256 = self.recipe().get("code_sha256") if self.recipe_file.exists() else None
        self._write(self._keep_descriptions(json.loads(json.dumps(settings))), resumable_fields, code_sha256)

    def keep_code(self, content: bytes) -> None:
        """Copy the user's recipe file, with its SHA-256 in recipe.json: no other content is ever executed.

        Raises:
            RunError: recipe.json cannot be read.
        """
        stored = self.recipe()
        write_atomically(self.code_file, content)
        self._write(stored["settings"], tuple(stored["resumable_fields"]), hashlib.sha256(content).hexdigest())

    def check(self, settings: dict[str, Any], *, resumable_fields: tuple[str, ...] = ()) -> None:
        """Check as `create_or_match`, without writing.

        Raises:
            RunError: as `create_or_match`.
        """
        settings = json.loads(json.dumps(settings))
        if not self.recipe_file.exists():
            self._check_vacant()
            return
        stored = self.recipe()
        now, there = _flat(settings), _flat(stored["settings"])
        compared = {*now, *there} - {*resumable_fields, *DESCRIPTIVE_FIELDS}
        different = sorted(key for key in compared if now.get(key) != there.get(key))
        if different:
            changes = ", ".join(f"{key}: {_short(there.get(key))} there" for key in different)
            raise RunError(f"{self.path} holds another run ({changes}): give its settings, or another --out")
        for key in resumable_fields:
            if settings[key] < stored["settings"][key]:
                raise RunError(f"{self.path} was started with {key} {stored['settings'][key]}: give at least that")

    def _keep_descriptions(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Keep the stored descriptions, so that rewording a recipe does not change the checkpoints' fingerprint."""
        if not self.recipe_file.exists() or not isinstance(settings.get("values"), dict):
            return settings
        there = self.recipe()["settings"].get("values", {})
        return settings | {
            "values": settings["values"] | {key: there[key] for key in DESCRIPTIVE_FIELDS if key in there}
        }

    def _check_vacant(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file: give another --out")
        if self.path.is_dir() and any(not _is_ours(entry) for entry in self.path.iterdir()):
            raise RunError(f"{self.path} is not empty and holds no run (no recipe.json): give another --out")

    def recipe(self) -> dict[str, Any]:
        """The content of recipe.json: settings and fingerprint.

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
        """The same for a run of a recipe, after a check that all its settings are present and of the right type.

        Raises:
            RunError: it is missing, cannot be read, or lacks a setting.
        """
        stored = self.recipe()
        problems = [name for name, fits in _SETTINGS.items() if not fits(stored["settings"].get(name))]
        if problems:
            raise RunError(
                f"{self.recipe_file} does not describe a run ({', '.join(problems)} missing or of the wrong type): "
                "restore it, or start a new run"
            )
        return stored

    def precision(self) -> str | None:
        """The precision of the folder's run; None if it has none.

        Raises:
            RunError: recipe.json cannot be read.
        """
        if not self.recipe_file.exists():
            return None
        precision: str | None = self.recipe()["settings"].get("values", {}).get("precision")
        return precision

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

    def append_log(self, line: Mapping[str, Any]) -> None:
        """Add one report to log.jsonl."""
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read_log(self) -> list[dict[str, Any]]:
        """All reports so far; a line that is truncated or damaged by a crash is skipped."""
        if not self.log_file.exists():
            return []
        lines = map(read_report_line, self.log_file.read_bytes().splitlines())
        return [line for line in lines if line is not None]

    def rewind_log(self, step: int) -> None:
        """Drop reports after `step`: the resumed run makes them again."""
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
    """Files that a killed start may leave in a new folder."""
    return entry.name == ".lock" or (entry.name.startswith(".recipe.json.") and entry.name.endswith(".tmp"))


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values on one level with the other settings, so that a message can name single differences."""
    values = settings.get("values")
    if not isinstance(values, dict):
        return dict(settings)
    return {key: value for key, value in settings.items() if key != "values"} | values


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""Provenance of a table: the command, the version and commit of the code, and the machine of each run."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import improved_gan
from improved_gan.reproduction.job_status import read_note
from improved_gan.reproduction.plan import Job, Plan
from improved_gan.runs import Run
from improved_gan.training.errors import RunError

__all__ = ["commit", "made_by", "record_start"]

_PACKAGE = Path(improved_gan.__file__).parent
_PROGRAMS = ("improved-gan", "__main__.py")


def made_by(plan: Plan) -> dict[str, Any]:
    """The last command (None if called from Python), version and commit, and the machine of each run that has begun.

    That is, by run: machine, cores, threads and device of its last start, all starts, version, precision and seeds.
    """
    by_name = Path(sys.argv[0]).name in _PROGRAMS
    return {
        "command": shlex.join(["improved-gan", *sys.argv[1:]]) if by_name else None,
        "version": improved_gan.__version__,
        "commit": commit(),
        "runs": {f"{job.group.name}/{job.name}": about for job in plan.all_jobs() if (about := _about(job))},
    }


def record_start(file: Path, made_on: dict[str, Any], *, begun: bool) -> dict[str, Any]:
    """The record beside a run folder when a run starts: its machine, and all of its starts.

    Args:
        file: the earlier record.
        made_on: machine, threads, device.
        begun: whether the run has log entries: then a start that was not recorded counts as null.
    """
    before = read_note(file).get("starts")
    starts = before if isinstance(before, list) else [None] * begun
    return {**made_on, "starts": [*starts, {**made_on, "commit": commit()}]}


def commit(folder: Path = _PACKAGE) -> str | None:
    """The commit of the code on disk, "+ changes" if files differ from it; None outside of git.

    Args:
        folder: folder of the package.
    """
    try:
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")  # not an unrelated repository around it
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
        return _git(folder, "rev-parse", "HEAD") + (" + changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    command, quiet = ["git", "-C", str(folder), *words], {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, env=quiet)
    return done.stdout.strip()


def _about(job: Job) -> dict[str, Any]:
    """Provenance of one run; empty if it has not begun."""
    try:
        settings = Run(job.folder).settings
    except RunError:
        return {}
    return {
        **read_note(job.sidecar_path("machine.json")),
        "version": settings["improved_gan"],
        "precision": settings["values"]["precision"],
        "seed": job.seed,
        "split_seed": job.split,
    }

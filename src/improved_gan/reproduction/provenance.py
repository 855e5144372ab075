"""Where a table comes from: the command, the version and commit of the code, and what each run was made on."""

import json
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import improved_gan
from improved_gan.reproduction.plan import Job, Plan
from improved_gan.training.run_folder import RunFolder

__all__ = ["commit", "made_by"]


def made_by(plan: Plan) -> dict[str, Any]:
    """The last command, and by run machine, threads, device, commits at its starts, version, precision and seeds."""
    runs = {f"{job.group.name}/{job.name}": about for job in plan.all_jobs() if (about := _about(job))}
    return {
        "command": shlex.join(["improved-gan", *sys.argv[1:]]),
        "version": improved_gan.__version__,
        "commit": commit(),
        "runs": runs,
    }


@cache
def commit(folder: Path = Path(improved_gan.__file__).parent) -> str | None:
    """The commit of the code that runs, "+ changes" where files differ from it; None where it is not under git.

    Args:
        folder: of the package.
    """
    try:
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")  # not a repository that happens to be around it
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
        return _git(folder, "rev-parse", "HEAD") + (" + changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.strip()


def _about(job: Job) -> dict[str, Any]:
    """Of one run; empty where it has not begun."""
    try:
        settings = RunFolder(job.folder).recipe()["settings"]
    except (FileNotFoundError, ValueError, KeyError):
        return {}
    try:
        noted = json.loads(job.beside("machine.json").read_text())
    except (FileNotFoundError, ValueError):
        noted = {}
    return {
        **noted,
        "version": settings["improved_gan"],
        "precision": settings["values"].get("precision"),
        "seed": job.seed,
        "split_seed": job.split,
    }

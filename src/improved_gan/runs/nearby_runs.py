"""A path that is not a run folder: whether a run may begin there, and which runs may have been meant."""

import difflib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from improved_gan.training.errors import RunError

__all__ = ["check_vacant", "did_you_mean", "no_run"]

_MAX_SHOWN, _MAX_ENTRIES = 3, 10_000


def check_vacant(path: Path) -> None:
    """Check that a run may begin in this folder, which may exist if it is empty.

    Raises:
        RunError: it is a file, or has other files.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file: give another --out")
    if path.is_dir() and any(not _is_of_a_start(entry) for entry in path.iterdir()):
        raise RunError(f"{path} is not empty and holds no run (no recipe.json): give another --out")


def no_run(path: Path) -> str:
    """Why a path is not a run folder, and which folders may have been meant."""
    if path.is_dir():
        reason = "it holds no recipe.json"
    else:
        reason = "it is a file" if path.exists() else "there is no such folder"
    return f"{path} is not a run folder: {reason}{did_you_mean(path)}"


def did_you_mean(path: Path) -> str:
    """The end of a message: runs with similar names beside, above or below the path; empty if there are none."""
    found = [str(one) for one in _candidates(path)]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _is_of_a_start(entry: Path) -> bool:
    """Files that a killed start may leave in a new folder."""
    return entry.name == ".lock" or (entry.name.startswith(".recipe.json.") and entry.name.endswith(".tmp"))


def _candidates(path: Path) -> list[Path]:
    above = [one for one in path.parents[:2] if _is_run(one)]
    if above:  # its checkpoints, its samples
        return above[:1]
    below = list(islice((run for one in _entries(path) for run in _runs_at(one)), _MAX_SHOWN))
    if below:
        return below
    around = {one.name: one for one in _entries(path.parent) if _is_run(one)}
    return [around[name] for name in difflib.get_close_matches(path.name, around, n=_MAX_SHOWN, cutoff=0.6)]


def _runs_at(folder: Path) -> Iterator[Path]:
    """The folder itself if it is a run, else the runs in it."""
    if _is_run(folder):
        yield folder
    else:
        yield from (one for one in _entries(folder) if _is_run(one))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(islice(folder.iterdir(), _MAX_ENTRIES))
    except OSError:  # not there, not a folder, not to be read
        return []


def _is_run(folder: Path) -> bool:
    try:
        return (folder / "recipe.json").is_file()
    except OSError:
        return False

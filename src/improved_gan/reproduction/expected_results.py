"""What to expect of a training: time and error at parts of its length, from runs that were recorded.

`improved-gan reproduce ... --save-expected FILE` writes a record from the finished runs of a table; the records in the
folder `records/` come with the package, one file a recipe, and `improved-gan train` shows them at its start.
"""

import json
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from improved_gan.recipes import Recipe
from improved_gan.recipes.registry import find_recipe
from improved_gan.reproduction.plan import Plan
from improved_gan.reproduction.runs import Run, read_note, read_status
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.errors import RunError
from improved_gan.training.run_folder import RunFolder

__all__ = [
    "SHARES",
    "expected_results",
    "expected_seconds",
    "make_record",
    "packaged_record",
    "readable_duration",
    "write_record",
]

SHARES = (0.1, 0.3, 1.0)  # of a run's length
_NEAR = 0.05  # of its length: how far from a share the nearest report may be
# What a run is called, looked at or computed with; it does not change what it learns, or not beyond the last bits.
_NO_MATTER = {
    "name",
    "summary",
    "paper",
    "num_labels",
    "epochs",
    "report_every",
    "sample_every",
    "precision",
}


def expected_results(recipe: Recipe, record: dict[str, Any] | None) -> list[str]:
    """Time and error to expect, in lines for a person; none where there is no record of this recipe, budget and length.

    Args:
        recipe: what is about to be trained.
        record: see `make_record`; `packaged_record(recipe.name)` for the one that comes with the package.
    """
    budget = _fitting(recipe, record)
    if budget is None:
        return []
    points = [
        f"{point['share']:.0%} (epoch {point['epoch']}) {readable_duration(point['seconds'])}, "
        f"error {_errors(point['error'])}"
        for point in budget["points"]
    ]
    made_on, num = _recorded_on(budget), budget["runs"]
    whose = f"{num} recorded runs, mean and range" if num > 1 else "one recorded run"
    return [f"expected at {'; '.join(points)}", f"({whose}, on that machine: {made_on})"]


def expected_seconds(recipe: Recipe, record: dict[str, Any] | None) -> tuple[float, str] | None:
    """How long one whole run took where it was recorded, and on what; None where there is no record of it."""
    budget = _fitting(recipe, record)
    return None if budget is None else (budget["seconds_per_step"] * budget["steps"], _recorded_on(budget))


def packaged_record(recipe: str) -> dict[str, Any] | None:
    """The record of a recipe that comes with the package; None where there is none."""
    file = resources.files("improved_gan.reproduction") / "records" / f"{recipe}.json"
    if not file.is_file():
        return None
    record: dict[str, Any] = json.loads(file.read_text())
    return record


def write_record(plan: Plan, file: Path) -> list[str]:
    """Add the finished runs of a table to a record, in place of what it said about the same budgets.

    Returns:
        The budgets that were recorded.

    Raises:
        RunError: no run is finished, or the table or the file is of several recipes.
    """
    made = make_record(plan)
    try:
        known = json.loads(file.read_text())
        budgets = known["budgets"] if known["recipe"] == made["recipe"] else None
        if budgets is not None and not all(name.isdecimal() for name in dict(budgets)):
            raise ValueError("its budgets are no numbers of labels")
    except FileNotFoundError:
        budgets = {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{file} is no record of runs ({error}): give another --save-expected") from error
    if budgets is None:
        raise RunError(
            f"{file} is the record of recipe {known['recipe']}, not {made['recipe']}: give another --save-expected"
        )
    merged = dict(sorted({**budgets, **made["budgets"]}.items(), key=lambda item: int(item[0])))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, (json.dumps({**made, "budgets": merged}, indent=1) + "\n").encode())
    return list(made["budgets"])


def make_record(plan: Plan) -> dict[str, Any]:
    """A record of the finished runs of a table that were trained alone: others do not tell how long one takes.

    Returns:
        `recipe` and, by label budget, `epochs`, `steps`, `runs`, `seconds_per_step`, what they ran on, the recipe's
        `values`, and `points`: share of the length, epoch, mean seconds of training, test error (mean, low, high); a
        share that no report is near is left out.

    Raises:
        RunError: no run is finished, or the rows are of several recipes.
    """
    names, budgets = set(), {}
    for row, jobs in plan.jobs.items():
        done = [run for run in map(read_status, jobs or ()) if run.state == "done" and run.report.get("models", 1) == 1]
        if done:
            recipe = find_recipe(done[0].job.recipe, labels=row.labels)
            names.add(recipe.name)
            budgets[str(recipe.num_labels)] = _budget(done, recipe)
    if len(names) != 1:
        raise RunError(
            f"a record is of the finished runs of one recipe; here are those of {', '.join(names) or 'none'}"
        )
    return {"recipe": names.pop(), "budgets": budgets}


def _budget(done: Sequence[Run], recipe: Recipe) -> dict[str, Any]:
    logs = [RunFolder(run.job.folder).read_log() for run in done]
    epochs, steps = int(done[0].report["epochs"]), int(done[0].report["step"])
    seconds = [float(run.report["seconds"]) for run in done]
    return {
        "epochs": epochs,
        "steps": steps,
        "runs": len(done),
        "splits": sorted({run.job.split for run in done}),
        "seconds_per_step": round(math.fsum(seconds) / len(seconds) / steps, 6),
        **_made_on(done),
        "points": [point for share in SHARES if (point := _point(logs, share, epochs))],
        "values": {name: value for name, value in recipe.as_dict().items() if name not in _NO_MATTER},
    }


def _point(logs: Sequence[Sequence[dict[str, Any]]], share: float, epochs: int) -> dict[str, Any]:
    """Every run at the report nearest to a share of its length; empty where one has no report near it."""
    reports = [min(log, key=lambda report: abs(report["epoch"] - share * epochs)) for log in logs]
    if any(abs(report["epoch"] - share * epochs) > _NEAR * epochs for report in reports):
        return {}
    errors = [report["test/error"] for report in reports]
    seconds = [report["seconds"] for report in reports]
    return {
        "share": share,
        "epoch": reports[0]["epoch"],
        "seconds": round(math.fsum(seconds) / len(seconds), 1),
        "error": {"mean": round(math.fsum(errors) / len(errors), 6), "low": min(errors), "high": max(errors)},
    }


def _made_on(done: Sequence[Run]) -> dict[str, Any]:
    """The machine, as noted beside the run folders; several are all named."""
    noted: list[dict[str, Any]] = []
    for run in done:
        note = read_note(run.job.sidecar_path("machine.json"))
        threads = note.get("threads")
        noted.append(
            {
                "machine": str(note.get("machine", "a machine that was not noted")),
                "threads": threads if type(threads) is int else 1,
                "device": note.get("device"),
            }
        )
    settings = RunFolder(done[0].job.folder).recipe()["settings"]
    machines = sorted({one["device"] if str(one["device"]).startswith("cuda") else one["machine"] for one in noted})
    return {
        "machine": " and ".join(machines),
        "threads": max(int(one["threads"]) for one in noted),
        "precision": settings["values"]["precision"],
        "version": settings["improved_gan"],
    }


def _recorded_on(budget: dict[str, Any]) -> str:
    return f"{budget['threads']} thread{'s' * (budget['threads'] != 1)} of {budget['machine']}, {budget['precision']}"


def _fitting(recipe: Recipe, record: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a record says of this budget, where it was made with these settings and this length."""
    budget: dict[str, Any] | None = (record or {}).get("budgets", {}).get(str(recipe.num_labels))
    fits = budget is not None and budget["epochs"] == recipe.epochs and _same_values(budget["values"], recipe)
    return budget if fits else None


def _same_values(recorded: dict[str, Any], recipe: Recipe) -> bool:
    """Whether the recipe still is what was recorded; a setting that is newer than the record does not count."""
    now = json.loads(json.dumps(recipe.as_dict()))
    return all(now.get(name) == value for name, value in recorded.items())


def _errors(error: dict[str, float]) -> str:
    mean, low, high = error["mean"], error["low"], error["high"]
    return f"{mean:.2%}" if low == high else f"{mean:.2%} ({100 * low:.2f}-{high:.2%})"


def readable_duration(seconds: float) -> str:
    """A time in one unit.

    >>> readable_duration(40), readable_duration(250), readable_duration(9000)
    ('40 s', '4.2 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

"""Expected time and error at fractions of a training, from recorded runs.

`improved-gan reproduce ... --save-expected FILE` writes a record of the finished runs of a table; the records in the
folder `records/` are part of the package, one file per recipe, and `improved-gan train` prints them at its start.
"""

import json
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from improved_gan.io import write_atomically
from improved_gan.recipes import Recipe
from improved_gan.recipes.registry import find_recipe
from improved_gan.reproduction.job_status import JobStatus, read_note, read_status
from improved_gan.reproduction.plan import Plan
from improved_gan.runs import Run
from improved_gan.runs.identity import differences
from improved_gan.training.errors import RunError

__all__ = [
    "FRACTIONS",
    "expected_results",
    "expected_seconds",
    "make_record",
    "packaged_record",
    "readable_duration",
    "write_record",
]

FRACTIONS = (0.1, 0.3, 1.0)  # of a run's length
_NEAR = 0.05  # largest distance of a log entry from a fraction, as a fraction of the length
# Settings that do not change the result, except for rounding.
_IRRELEVANT = {
    "name",
    "num_labels",
    "epochs",
    "report_every",
    "sample_every",
    "precision",
}


def expected_results(recipe: Recipe, record: dict[str, Any] | None) -> list[str]:
    """Expected time and error as lines of text; empty without a record of this recipe, budget and length.

    Args:
        recipe: the recipe to train.
        record: see `make_record`; `packaged_record(recipe.name)` for the packaged one.
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
    """Seconds of a whole recorded run, and its machine; None if there is no record."""
    budget = _fitting(recipe, record)
    return None if budget is None else (budget["seconds_per_step"] * budget["steps"], _recorded_on(budget))


def packaged_record(recipe: str) -> dict[str, Any] | None:
    """The packaged record of a recipe; None if there is none."""
    file = resources.files("improved_gan.reproduction") / "records" / f"{recipe}.json"
    if not file.is_file():
        return None
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return record


def write_record(plan: Plan, file: Path) -> list[str]:
    """Add the finished runs of a table to a record; entries of the same budgets are replaced.

    Returns:
        The recorded budgets.

    Raises:
        RunError: no run is finished, or the table or the file is of several recipes.
    """
    made = make_record(plan)
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        budgets = known["budgets"] if known["recipe"] == made["recipe"] else None
        if budgets is not None and not all(name.isdecimal() for name in dict(budgets)):
            raise ValueError("its budgets are not numbers of labels")
    except FileNotFoundError:
        budgets = {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{file} is not a record of runs ({error}): give another --save-expected") from error
    if budgets is None:
        raise RunError(
            f"{file} is the record of recipe {known['recipe']}, not {made['recipe']}: give another --save-expected"
        )
    merged = dict(sorted({**budgets, **made["budgets"]}.items(), key=lambda item: int(item[0])))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, (json.dumps({**made, "budgets": merged}, indent=1) + "\n").encode())
    return list(made["budgets"])


def make_record(plan: Plan) -> dict[str, Any]:
    """A record of the finished runs of a table, without those trained several at once (their times differ).

    Returns:
        `recipe` and, by label budget, `epochs`, `steps`, `runs`, `seconds_per_step`, what they ran on, the recipe's
        `values`, and `points`: `share` (fraction of the length), epoch, mean seconds, test error (mean, low, high), and
        that of the weights without average if it is in the logs; a fraction without a log entry near it is left out.

    Raises:
        RunError: no run is finished, the rows are of several recipes, or the runs report no test error.
    """
    names, budgets = set(), {}
    for row, jobs in plan.jobs.items():
        done = [run for run in map(read_status, jobs or ()) if run.state == "done" and run.report.get("models", 1) == 1]
        if done:
            recipe = find_recipe(done[0].job.recipe, labels=row.labels)
            if any("test/error" not in run.report for run in done):
                raise RunError(f"the runs of {recipe.name} report no test error: leave out --save-expected")
            names.add(recipe.name)
            budgets[str(recipe.num_labels)] = _budget(done, recipe)
    if len(names) != 1:
        raise RunError(
            f"a record is of the finished runs of one recipe; here are those of {', '.join(names) or 'none'}"
        )
    return {"recipe": names.pop(), "budgets": budgets}


def _budget(done: Sequence[JobStatus], recipe: Recipe) -> dict[str, Any]:
    logs = [Run(run.job.folder).log.lines for run in done]
    epochs, steps = int(done[0].report["epochs"]), int(done[0].report["step"])
    seconds = [float(run.report["seconds"]) for run in done]
    return {
        "epochs": epochs,
        "steps": steps,
        "runs": len(done),
        "splits": sorted({run.job.split for run in done}),
        "seconds_per_step": round(math.fsum(seconds) / len(seconds) / steps, 6),
        **_made_on(done),
        "points": [point for fraction in FRACTIONS if (point := _point(logs, fraction, epochs))],
        "values": {name: value for name, value in recipe.as_dict().items() if name not in _IRRELEVANT},
    }


def _point(logs: Sequence[Sequence[dict[str, Any]]], fraction: float, epochs: int) -> dict[str, Any]:
    """Time and error of the runs at the log entry nearest to a fraction of the length; empty without one."""
    reports = [min(log, key=lambda report: abs(report["epoch"] - fraction * epochs)) for log in logs]
    if any(abs(report["epoch"] - fraction * epochs) > _NEAR * epochs for report in reports):
        return {}
    seconds = [report["seconds"] for report in reports]
    return {
        "share": fraction,
        "epoch": reports[0]["epoch"],
        "seconds": round(math.fsum(seconds) / len(seconds), 1),
        "error": _mean_and_range([report["test/error"] for report in reports]),
    } | {
        name: _mean_and_range([report[f"test/{name}"] for report in reports])
        for name in ("error_without_average",)
        if all(f"test/{name}" in report for report in reports)
    }


def _mean_and_range(errors: Sequence[float]) -> dict[str, float]:
    return {"mean": round(math.fsum(errors) / len(errors), 6), "low": min(errors), "high": max(errors)}


def _made_on(done: Sequence[JobStatus]) -> dict[str, Any]:
    """The machines, as recorded beside the run folders."""
    noted: list[dict[str, Any]] = []
    for run in done:
        note = read_note(run.job.sidecar_path("machine.json"))
        threads = note.get("threads")
        noted.append(
            {
                "machine": str(note.get("machine", "an unknown machine")),
                "threads": threads if type(threads) is int else 1,
                "device": note.get("device"),
            }
        )
    settings = Run(done[0].job.folder).settings
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
    """The record of this budget, if it was made with these settings and this length."""
    budget: dict[str, Any] | None = (record or {}).get("budgets", {}).get(str(recipe.num_labels))
    fits = (
        budget is not None
        and budget["epochs"] == recipe.epochs
        and not differences(recipe.as_dict(), budget["values"], partly=True)
    )
    return budget if fits else None


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

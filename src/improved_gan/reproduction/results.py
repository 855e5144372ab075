"""Compute the cells of a table from run folders: values, mean and standard deviation, difference from the paper, time.

An ensemble is the mean of the class probabilities of models that were trained on the same label split. The paper's
standard deviation of ensembles over the label subsets is nearly as large as that of single models (445 and 452 with 20
labels), so the ten models of one ensemble share a label subset and differ in all other random choices. Averaging models
of *different* splits would use more labels than the budget; it is not done here.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from improved_gan.data.dataset import Dataset, LabeledImages
from improved_gan.io import write_atomically
from improved_gan.recipes.recipe import RecipeError
from improved_gan.reproduction.job_status import JobStatus, read_note, read_status
from improved_gan.reproduction.plan import Job, Plan, run_name, training_seed
from improved_gan.reproduction.statistics import Difference, figure, welch
from improved_gan.reproduction.tables import Figure, Measure, Row
from improved_gan.runs import Run
from improved_gan.runs.networks import logits_of
from improved_gan.runs.own_code import Trust, is_file_of
from improved_gan.training.errors import RunError

__all__ = [
    "NO_RECIPE",
    "Cell",
    "EnsembleOf",
    "average_probabilities",
    "collect",
    "count_ensemble_errors",
    "known_ensemble",
]


NO_RECIPE = "no recipe yet"
# The ensemble of these runs: number of errors and of test images; None if it is computed later.
EnsembleOf = Callable[[list[Job]], tuple[int, int] | None]


@dataclass(frozen=True)
class Cell:
    """One result of the table, ours and the paper's.

    Args:
        row: row of the paper's table.
        models: models per value: 1, or the size of the ensemble.
        values: one for each finished split, by its number: that of its first model, as in the paper, or its ensemble's.
        single: every single value, by split and training seed; empty for an ensemble.
        minutes: training time without evaluation, by the same keys; for an ensemble by split.
        splits: number of requested splits.
        failures: error message of each failed run, by name.
        note: reason for a missing value.
        begun: epochs of each run that is neither finished nor failed, by name.
    """

    row: Row
    models: int
    values: dict[int, float]
    single: dict[str, float]
    minutes: dict[str, float]
    splits: int
    failures: dict[str, str]
    note: str = ""
    begun: dict[str, int] = field(default_factory=dict)

    @property
    def paper(self) -> Figure | None:
        """The paper's figure; its ensembles have ten models."""
        if self.models == 1:
            return self.row.one
        return self.row.ensemble if self.models == 10 else None

    @property
    def ours(self) -> Figure | None:
        """Mean and standard deviation over the finished splits."""
        return figure(list(self.values.values()))

    @property
    def difference(self) -> Difference | None:
        """Difference from the paper, if both have a standard deviation."""
        return welch(self.ours, self.paper) if self.ours and self.paper else None

    @property
    def finished(self) -> str:
        """How many splits are finished and how many runs failed: "7/10, 2 failed"."""
        return f"{len(self.values)}/{self.splits}" + (f", {len(self.failures)} failed" if self.failures else "")

    def minutes_of(self, split: int) -> float:
        """Training minutes of the value of a finished split; for an ensemble, of all its models."""
        return self.minutes[run_name(split, training_seed(split, 1)) if self.models == 1 else f"split-{split}"]


def collect(plan: Plan, ensemble_of: EnsembleOf) -> list[Cell]:
    """Two cells per row: one model, and the ensemble; a table of scores has no ensembles."""
    cells, has_ensembles = [], plan.table.measure.lower_is_better
    for row, jobs in plan.jobs.items():
        if jobs is None:
            empty = Cell(row, 1, {}, {}, {}, plan.splits, {}, NO_RECIPE)
            cells += [empty, replace(empty, models=plan.ensemble)] if has_ensembles else [empty]
            continue
        runs = [read_status(job) for job in jobs]
        cells.append(_one_model(row, runs, plan))
        if has_ensembles:
            cells.append(_ensemble(row, runs, plan, ensemble_of))
    return cells


def _one_model(row: Row, runs: list[JobStatus], plan: Plan) -> Cell:
    measure = plan.table.measure
    done = [run for run in runs if run.state == "done" and isinstance(run.report.get(measure.log_name), int | float)]
    single = {run.job.name: _value(run, measure) for run in done}
    # The paper's figure is over subsets, one model each: further models of a split are for its ensemble.
    values = {run.job.split: single[run.job.name] for run in done if run.job.model == 1}
    minutes = {run.job.name: float(run.report["seconds"]) / 60 for run in done}
    failures = {run.job.name: run.failure for run in runs if run.state == "failed"}
    lacks = any(run.state == "done" for run in runs) and not done
    note = f"the runs report no {measure.log_name}" if lacks else ""
    begun = {run.job.name: run.epoch for run in runs if run.state == "partial"}
    return Cell(row, 1, dict(sorted(values.items())), single, minutes, plan.splits, failures, note, begun)


def _ensemble(row: Row, runs: list[JobStatus], plan: Plan, ensemble_of: EnsembleOf) -> Cell:
    """The first models of each split, as many as an ensemble has."""
    empty = Cell(row, plan.ensemble, {}, {}, {}, plan.splits, {})
    if plan.models < plan.ensemble:
        return replace(empty, note=f"needs {plan.ensemble} models a split, there are {plan.models} (--num-seeds)")
    values, minutes, later = {}, {}, False
    for split in range(1, plan.splits + 1):
        members = [run for run in runs if run.job.split == split and run.job.model <= plan.ensemble]
        if any(run.state != "done" for run in members):
            continue
        try:
            answer = ensemble_of([run.job for run in members])
        except (RunError, RecipeError) as error:
            return replace(empty, note=str(error))
        if answer is None:
            later = True
            continue
        wrong, total = answer
        measured = {"test/num_errors": wrong, "test/error": wrong / total}
        values[split] = measured[plan.table.measure.log_name] * plan.table.measure.factor
        minutes[f"split-{split}"] = math.fsum(float(run.report["seconds"]) for run in members) / 60
    return replace(empty, values=values, minutes=minutes, note="computed when the command ends" if later else "")


def _value(run: JobStatus, measure: Measure) -> float:
    return float(run.report[measure.log_name]) * measure.factor


def count_ensemble_errors(
    jobs: Sequence[Job], load_data: Callable[[], Dataset], *, device: str, warn: Callable[[str], None]
) -> tuple[int, int]:
    """Number of test images that the ensemble of these runs misclassifies, and number of test images.

    The result is stored in the runs' group folder, for these members with these settings and checkpoints.

    Args:
        jobs: the members, all done, of one split.
        load_data: loads the data set; called only if the result is not stored.
        device: device of the networks.
        warn: called with a line for each damaged checkpoint that is skipped.

    Raises:
        RunError: a run cannot be loaded, or was trained on other labels than the first.
    """
    first, *others = (Run(job.folder).settings["label_split"] for job in jobs)
    if any(other != first for other in others):
        raise RunError(f"the models of split {jobs[0].split} were trained on different labels: their data has changed")
    if (known := known_ensemble(jobs)) is not None:
        return known
    members, test = _members(jobs), load_data().test
    # The user named the recipe file in this command, so copies of it are trusted.
    trust = jobs[0].options.trust or is_file_of(jobs[0].recipe)
    folders = [job.folder for job in jobs]
    probabilities = average_probabilities(folders, test, device=device, warn=warn, trust=trust)
    wrong = int((probabilities.argmax(1) != test.labels).sum())
    content = {"members": members, "wrong": wrong, "of": len(test)}
    write_atomically(_kept(jobs), json.dumps(content, indent=1).encode())
    return wrong, len(test)


def known_ensemble(jobs: Sequence[Job]) -> tuple[int, int] | None:
    """The stored result; None if there is none for these members and checkpoints."""
    known = read_note(_kept(jobs))
    wrong, num = known.get("wrong"), known.get("of")
    fits = known.get("members") == _members(jobs) and isinstance(wrong, int) and isinstance(num, int)
    return (int(wrong), int(num)) if fits else None  # type: ignore[arg-type]


def average_probabilities(
    folders: Sequence[Path],
    images: LabeledImages,
    *,
    device: str,
    warn: Callable[[str], None],
    trust: Trust = False,
) -> Tensor:
    """(N, K) float64, the mean over the runs of softmax(logits) of each image, with averaged weights."""
    total = torch.zeros(())
    for folder in folders:  # one after the other, so that only one discriminator is in memory
        networks = Run(folder).load(device=device, warn=warn, trust=trust)
        batch_size = networks.run.settings["values"]["batch_size"]
        _, logits = logits_of(networks.discriminator, images.images, device=device, batch_size=batch_size)
        total = total + logits.double().softmax(1)
    return total / len(folders)


def _members(jobs: Sequence[Job]) -> dict[str, Any]:
    return {job.name: _identity(job.folder) for job in jobs}


def _kept(jobs: Sequence[Job]) -> Path:
    return jobs[0].group / f"ensemble-split-{jobs[0].split}-of-{len(jobs)}.json"


def _identity(folder: Path) -> dict[str, Any]:
    """Identity of a trained model: its settings and its checkpoint file."""
    run = Run(folder)
    if (newest := run.newest_checkpoint()) is None:
        raise RunError(f"{folder} has no checkpoint: train it again")
    about = newest.stat()  # hashing the content would read gigabytes for a whole table
    return {
        "fingerprint": run.fingerprint,
        "checkpoint": newest.name,
        "bytes": about.st_size,
        "written": about.st_mtime_ns,
    }

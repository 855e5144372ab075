"""What a run folder says about its run: how far it is, what it measured, whether it failed."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from improved_gan.reproduction.plan import Job
from improved_gan.training.checkpoints import newest_checkpoint
from improved_gan.training.report_line import read_report_line
from improved_gan.training.run_folder import RunFolder

__all__ = ["Run", "last_report", "read_note", "read_status"]

_TAIL = 1 << 16  # bytes; a report has one or two thousand


@dataclass(frozen=True)
class Run:
    """Where a run stands.

    Args:
        job: the run.
        state: "waiting" (nothing there yet), "part", "done" or "failed".
        report: the last line of its log, empty where there is none.
        failure: what it said when it failed.
    """

    job: Job
    state: str
    report: dict[str, Any]
    failure: str = ""

    @property
    def epoch(self) -> int:
        """Epochs reported so far."""
        return int(self.report.get("epoch", 0))


def read_status(job: Job) -> Run:
    """Read a run folder; nothing is written or locked. Of several models, what the one that is least far says."""
    if job.models > 1:
        least = min(map(read_status, job.single()), key=lambda run: (run.state == "done", run.epoch))
        return replace(least, job=job)
    report = last_report(job.folder / "log.jsonl")
    if _complete(job, report):
        return Run(job, "done", report)
    failure = _failure(job)
    if failure:
        return Run(job, "failed", report, failure)
    return Run(job, "part" if job.folder.exists() else "waiting", report)


def last_report(log: Path) -> dict[str, Any]:
    """The last whole report of a log.jsonl; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            lines = file.read().splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        report = read_report_line(line)
        if report is not None:  # else cut short by a crash, or the first line of the tail
            return report
    return {}


def read_note(file: Path) -> dict[str, Any]:
    """What a JSON file beside a run holds; nothing where it is missing, damaged or of another kind."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _complete(job: Job, report: dict[str, Any]) -> bool:
    """The last epoch is reported, and the checkpoint after it is there."""
    if not report or report["epoch"] < job.epochs or not isinstance(report.get("seconds"), int | float):
        return False
    return newest_checkpoint(RunFolder(job.folder).checkpoints) == f"step-{report['step']:08d}.safetensors"


def _failure(job: Job) -> str:
    file = job.sidecar_path("failed.json")
    if not file.exists():
        return ""
    return " ".join(str(read_note(file).get("message", f"failed; see {job.sidecar_path('log')}")).split())

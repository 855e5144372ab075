"""Status of a run, read from its folder: progress, last log entry, failure."""

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
    """Status of a run.

    Args:
        job: the run.
        state: "waiting" (not begun), "partial", "done" or "failed".
        report: the last log entry, empty if there is none.
        failure: error message of a failed run.
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
    """Read a run folder; nothing is written or locked. For several models, the status of the least advanced."""
    if job.models > 1:
        least = min(map(read_status, job.single()), key=lambda run: (run.state == "done", run.epoch))
        return replace(least, job=job)
    report = last_report(job.folder / "log.jsonl")
    if _complete(job, report):
        return Run(job, "done", report)
    failure = _failure(job)
    if failure:
        return Run(job, "failed", report, failure)
    return Run(job, "partial" if job.folder.exists() else "waiting", report)


def last_report(log: Path) -> dict[str, Any]:
    """The last whole report of a log.jsonl; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            lines = file.read().splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        report = read_report_line(line)
        if report is not None:  # else the line is incomplete, by a crash or by the start of the tail
            return report
    return {}


def read_note(file: Path) -> dict[str, Any]:
    """The content of a JSON file beside a run; empty if it is missing, damaged or no object."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _complete(job: Job, report: dict[str, Any]) -> bool:
    """Whether the last epoch is logged and its checkpoint exists."""
    if not report or report["epoch"] < job.epochs or not isinstance(report.get("seconds"), int | float):
        return False
    return newest_checkpoint(RunFolder(job.folder).checkpoints) == f"step-{report['step']:08d}.safetensors"


def _failure(job: Job) -> str:
    file = job.sidecar_path("failed.json")
    if not file.exists():
        return ""
    return " ".join(str(read_note(file).get("message", f"failed; see {job.sidecar_path('log')}")).split())

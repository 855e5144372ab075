"""How far a job's run is, read from its folder: progress, last report, failure."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from improved_gan.reproduction.plan import Job
from improved_gan.runs import Run

__all__ = ["JobStatus", "read_note", "read_status"]


@dataclass(frozen=True)
class JobStatus:
    """How far the run of a job is.

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


def read_status(job: Job) -> JobStatus:
    """Read a run folder; nothing is written or locked. For several models, the status of the least advanced."""
    if job.models > 1:
        least = min(map(read_status, job.single()), key=lambda run: (run.state == "done", run.epoch))
        return replace(least, job=job)
    report = Run(job.folder).last_report()
    if _complete(job, report):
        return JobStatus(job, "done", report)
    failure = _failure(job)
    if failure:
        return JobStatus(job, "failed", report, failure)
    return JobStatus(job, "partial" if job.folder.exists() else "waiting", report)


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
    newest = Run(job.folder).newest_checkpoint()
    return newest is not None and newest.name == f"step-{report['step']:08d}.safetensors"


def _failure(job: Job) -> str:
    file = job.sidecar_path("failed.json")
    if not file.exists():
        return ""
    return " ".join(str(read_note(file).get("message", f"failed; see {job.sidecar_path('log')}")).split())

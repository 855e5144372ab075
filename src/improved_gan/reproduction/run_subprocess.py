"""One run in its own process: start it, wait, stop it on request, keep its output."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from improved_gan.data.ordered_map import num_cores
from improved_gan.io import write_atomically
from improved_gan.reproduction.job_status import read_status
from improved_gan.reproduction.plan import Job
from improved_gan.reproduction.provenance import record_start
from improved_gan.runs import Run

__all__ = ["Outcome", "failed", "machine", "run_job"]

PROGRAM = ("-m", "improved_gan.reproduction.subprocess_entry")
_POLL = 0.1  # seconds


@dataclass(frozen=True)
class Outcome:
    """How a run ended: "done", "failed", "stopped" (saved, on request) or "busy" (another process trains there)."""

    job: Job
    how: str
    message: str = ""


def run_job(
    job: Job, *, threads: int, device: str | None = None, lock_timeout: float = 0.0, stop: Callable[[], bool]
) -> Outcome:
    """Train one run to its end, from its newest checkpoint.

    Its output goes to a file beside the run folder, and so does a failure, until the next try.

    Args:
        job: the run.
        threads: CPU threads for it.
        device: device of the training; None for that of its options.
        lock_timeout: seconds to wait for another process that trains in the same folder.
        stop: checked ten times a second; if true, the run saves and ends.
    """
    deadline = time.monotonic() + lock_timeout
    while any(Run(one.folder).is_locked() for one in job.single()):
        if stop():
            return Outcome(job, "stopped")
        if time.monotonic() >= deadline:
            return Outcome(job, "busy")
        time.sleep(_POLL)
    if read_status(job).state == "done":
        return Outcome(job, "done")
    job.group.mkdir(parents=True, exist_ok=True)
    made_on, records = machine(threads, device), dict[Path, tuple[bytes | None, bytes]]()
    for one in job.single():
        one.sidecar_path("failed.json").unlink(missing_ok=True)
        if (run := read_status(one)).state != "done":  # several models in one: others may be done
            file = one.sidecar_path("machine.json")
            noted = json.dumps(record_start(file, made_on, begun=bool(run.report)), indent=1).encode()
            records[file] = (file.read_bytes() if file.exists() else None, noted)
            write_atomically(file, noted, durable=False)
    with job.sidecar_path("log").open("ab") as said:
        code = _wait(_start(job, threads, device, said.fileno()), stop)
    outcome = _outcome(job, code, stopped=stop())
    if outcome.how == "busy":  # it never began: the record is that of the other process
        for file, (before, noted) in records.items():
            if file.read_bytes() == noted:
                file.unlink() if before is None else write_atomically(file, before, durable=False)
    return outcome


def failed(job: Job, message: str, *, code: int | None = None) -> Outcome:
    """Write the reason of a failure beside the run folder; the table shows it until the next try.

    Args:
        job: the run; of several models in one, those that are not done.
        message: the reason in one line.
        code: exit code of its process; None if the process was not the cause.
    """
    job.group.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"code": code, "message": message}).encode()
    for one in job.single():
        if read_status(one).state != "done":
            write_atomically(one.sidecar_path("failed.json"), content)
    return Outcome(job, "failed", message)


def machine(threads: int, device: str | None) -> dict[str, str | int | None]:
    """The machine of a run."""
    return {"machine": _processor(), "cores": num_cores(), "threads": threads, "device": device}


def _start(job: Job, threads: int, device: str | None, said: int) -> "subprocess.Popen[bytes]":
    """Start a process in its own session, so that Ctrl-C reaches only its parent; its stdin ends with the parent."""
    command = [sys.executable, *PROGRAM, *job.arguments(threads=threads, device=device)]
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(variables, str(threads)), "NO_COLOR": "1"}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=said, stderr=said, env=environment, start_new_session=True
    )


def _wait(process: "subprocess.Popen[bytes]", stop: Callable[[], bool]) -> int:
    assert process.stdin is not None
    try:
        while process.poll() is None and not stop():
            time.sleep(_POLL)
    finally:
        process.stdin.close()  # makes it save and stop, if it still runs
        code = process.wait()
    return code


def _outcome(job: Job, code: int, *, stopped: bool) -> Outcome:
    if code == 0:
        return Outcome(job, "done")
    if stopped:
        return Outcome(job, "stopped")
    message = _last_words(job.sidecar_path("log"))
    if "another process is training" in message:
        return Outcome(job, "busy")
    if code < 0:
        message = f"ended by signal {-code} (out of memory?)"
    return failed(job, message, code=code)


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip().removeprefix("improved-gan: ") if lines else "no reason given"


def _processor() -> str:
    """The CPU's name, which `platform` does not give on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

"""How many runs are computed: the interface of executors, processes of this machine, and the loop over all runs.

`cluster.py` has the executor on a dask cluster. The tables and the demo both go through `run_all`.
"""

import queue
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Protocol

from improved_gan.data.ordered_map import num_cores
from improved_gan.reproduction.job_status import read_status
from improved_gan.reproduction.plan import Job
from improved_gan.reproduction.run_subprocess import Outcome, failed, run_job
from improved_gan.training.errors import InterruptedRunError
from improved_gan.training.signals import StopRequest

__all__ = ["Executor", "LocalExecutor", "Watcher", "run_all"]


_POLL, _BUSY_PAUSE = 0.2, 5.0  # seconds


class Executor(ABC):
    """Takes runs and returns their outcomes."""

    @property
    @abstractmethod
    def num_slots(self) -> int:
        """Number of runs computed at once."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Start a run; it waits while all slots are taken."""

    @abstractmethod
    def finished(self) -> list[Outcome]:
        """The runs that ended since the last call."""

    @abstractmethod
    def stop(self) -> None:
        """Make every run save and end, and wait for them."""


class LocalExecutor(Executor):
    """A process for each run.

    Args:
        jobs: runs at once; None for one per core, or one per GPU if there are GPUs.
        threads: CPU threads per run; None divides the cores equally.
        device: device of each run; None for the GPUs in turn if there are any, else the CPU.
        num_runs: total number of runs, an upper bound of the slots.

    The number of threads depends on these arguments and the machine only, not on the runs that are left: a continued
    run then uses the same number of threads and gives bitwise the same result.
    """

    def __init__(self, *, jobs: int | None, threads: int | None, device: str | None, num_runs: int) -> None:
        devices = [device] if device else [f"cuda:{index}" for index in range(_num_gpus())] or ["cpu"]
        most = num_cores() if devices == ["cpu"] else len(devices)
        self._num_slots = jobs or max(1, min(most, num_runs))
        self.threads = threads or max(1, num_cores() // self._num_slots)
        self._slots: queue.SimpleQueue[str] = queue.SimpleQueue()  # each with its device
        for slot in range(self._num_slots):
            self._slots.put(devices[slot % len(devices)])
        self._stop = Event()
        self._workers = ThreadPoolExecutor(self._num_slots, thread_name_prefix="run")
        self._running: dict[Future[Outcome], Job] = {}

    @property
    def num_slots(self) -> int:
        """Number of runs computed at once."""
        return self._num_slots

    def submit(self, job: Job) -> None:
        """Start a run."""
        self._running[self._workers.submit(self._run, job)] = job

    def finished(self) -> list[Outcome]:
        """The runs that ended since the last call."""
        done = [future for future in self._running if future.done()]
        ended = [(future, self._running.pop(future)) for future in done]
        return [_outcome(future, job) for future, job in ended if not future.cancelled()]

    def stop(self) -> None:
        """Make every run save and end, and wait for them."""
        self._stop.set()
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Job) -> Outcome:
        device = self._slots.get()
        try:
            return run_job(job, threads=self.threads, device=device, stop=self._stop.is_set)
        finally:
            self._slots.put(device)


class Watcher(Protocol):
    """Receives the progress of the runs; implemented by `progress.Display`."""

    def watch(self, running: Iterable[Job]) -> None:
        """Called a few times a second with the runs that were submitted."""

    def ended(self, outcome: Outcome) -> None:
        """A run ended."""


def run_all(
    jobs: Iterable[Job],
    executor: Executor,
    *,
    watcher: Watcher,
    stop: StopRequest,
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Compute every run that is not done, also those that failed earlier; a failure does not stop the other runs.

    Args:
        jobs: the runs, in the order in which they start.
        executor: computes the runs; it is stopped at the end.
        watcher: receives the progress.
        stop: checked in each iteration.
        clock: seconds.

    Returns:
        How each of the runs that were not done yet ended.

    Raises:
        InterruptedRunError: stopped on request, after every run has saved.
    """
    waiting = [job for job in jobs if read_status(job).state != "done"]
    given: dict[Job, None] = {}
    busy_until: dict[Job, float] = {}
    outcomes = []
    try:
        while waiting or given:
            for job in [job for job in waiting if busy_until.get(job, 0) <= clock()]:
                if len(given) >= executor.num_slots:
                    break
                waiting.remove(job)
                given[job] = None
                executor.submit(job)
            watcher.watch(given)
            for outcome in executor.finished():
                del given[outcome.job]
                if outcome.how == "busy":  # another process trains it: try again later
                    busy_until[outcome.job] = clock() + _BUSY_PAUSE
                    waiting.append(outcome.job)
                    continue
                outcomes.append(outcome)
                watcher.ended(outcome)
            if stop:
                raise InterruptedRunError(
                    "stopped, every run has saved: the same command continues", stop.signal_number or 0
                )
            time.sleep(_POLL)
    finally:
        executor.stop()
    return outcomes


def _outcome(future: "Future[Outcome]", job: Job) -> Outcome:
    """The outcome; a run that could not be started counts as failed."""
    error = future.exception()
    if isinstance(error, Exception):
        return failed(job, f"{type(error).__name__}: {error}")
    return future.result()


def _num_gpus() -> int:
    import torch

    return torch.cuda.device_count()

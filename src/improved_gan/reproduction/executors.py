"""Run jobs as processes of this machine; `cluster.py` does the same on a dask cluster."""

import queue
from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from improved_gan.reproduction.plan import Job
from improved_gan.reproduction.run_subprocess import Outcome, failed, num_cores, run_job

__all__ = ["LocalPool", "Pool"]


class Pool(ABC):
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


class LocalPool(Pool):
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


def _outcome(future: "Future[Outcome]", job: Job) -> Outcome:
    """The outcome; a run that could not be started counts as failed."""
    error = future.exception()
    if isinstance(error, Exception):
        return failed(job, f"{type(error).__name__}: {error}")
    return future.result()


def _num_gpus() -> int:
    import torch

    return torch.cuda.device_count()

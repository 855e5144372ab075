"""Where runs are computed: as processes of this machine. `cluster.py` has the same for a dask cluster."""

import queue
from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from improved_gan.reproduction.plan import Job
from improved_gan.reproduction.run_subprocess import Outcome, failed, num_cores, run_job

__all__ = ["LocalPool", "Pool"]


class Pool(ABC):
    """Takes runs and gives back how they ended."""

    @property
    @abstractmethod
    def num_slots(self) -> int:
        """How many runs are computed at once."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Start a run; it waits where all slots are taken."""

    @abstractmethod
    def finished(self) -> list[Outcome]:
        """The runs that ended since the last call."""

    @abstractmethod
    def stop(self) -> None:
        """Ask every run to save and end, and wait until they have."""


class LocalPool(Pool):
    """A process for each run.

    Args:
        jobs: runs at once; None for one a core, or one a GPU where there are GPUs.
        threads: of each; None for an equal share of the cores.
        device: of each; None for the GPUs in turn where there are any, else the CPU.
        num_runs: how many runs there are in all: more slots are not needed.

    The number of threads follows from these and the machine alone, not from what is left to do: a run that continues
    then does so with the same threads, to the same bits.
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
        """How many runs are computed at once."""
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
        """Ask every run to save and end, and wait until they have."""
        self._stop.set()
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Job) -> Outcome:
        device = self._slots.get()
        try:
            return run_job(job, threads=self.threads, device=device, stop=self._stop.is_set)
        finally:
            self._slots.put(device)


def _outcome(future: "Future[Outcome]", job: Job) -> Outcome:
    """How it ended; what could not even be started has failed, and the others go on."""
    error = future.exception()
    if isinstance(error, Exception):
        return failed(job, f"{type(error).__name__}: {error}")
    return future.result()


def _num_gpus() -> int:
    import torch

    return torch.cuda.device_count()

"""Run jobs on the workers of a dask.distributed cluster that share the output folder.

A worker starts each run as a process that ends with the worker. If a worker dies, dask assigns its run to another one,
which waits for the lock on the run folder and continues from the checkpoint.
"""

import asyncio
import concurrent.futures
import importlib
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from improved_gan import __version__
from improved_gan.reproduction.executors import Executor
from improved_gan.reproduction.plan import Job
from improved_gan.reproduction.run_subprocess import Outcome, failed, run_job
from improved_gan.training.errors import RunError

__all__ = ["DaskExecutor"]

_STOP_TIMEOUT = 120.0  # seconds that all runs have to save
_TIMEOUT, _WORKER_TIMEOUT = 10, 60  # seconds to wait for the scheduler, and for the first worker
_CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)  # the first is not an Exception
_LOCK_TIMEOUT = 60.0  # seconds that a killed worker's process may take to save and unlock the folder


class DaskExecutor(Executor):
    """The workers of a dask cluster; each thread of a worker is a slot for one run.

    Args:
        address: address of the scheduler, such as tcp://host:8786, or the path of its scheduler file.
        out: the folder of all runs, accessible to every worker under the same path.
        threads: CPU threads of a run; None for 1.
        device: device of each run; None for a GPU if the worker has one.

    Raises:
        RunError: distributed is not installed, there is no scheduler or no worker, or a worker cannot access the
            folder or has another version. Every method raises it if the connection to the scheduler is lost.
    """

    def __init__(self, address: str, *, out: Path, threads: int | None, device: str | None) -> None:
        self._distributed = _distributed()
        self._address, self._threads, self._device = address, threads or 1, device
        _quiet()
        try:
            known: dict[str, Any] = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
            self._client = self._distributed.Client(**known, timeout=_TIMEOUT, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise RunError(
                f"no dask scheduler found at {address} ({error}): start one with `dask scheduler`"
            ) from error
        try:
            self._check_workers(address, out)
            # Runs on the workers poll this event; a worker that loses the scheduler stops by itself.
            self._stop_name = f"improved-gan-stop-{uuid.uuid4().hex}"
            self._stop = self._distributed.Event(self._stop_name, client=self._client)
        except BaseException:
            self._client.close()
            raise
        self._running: dict[Any, Job] = {}

    @property
    def num_slots(self) -> int:
        """The threads of all current workers, at least 1."""
        with self._scheduler_there():
            return max(1, sum(int(threads) for threads in self._client.nthreads().values()))

    def submit(self, job: Job) -> None:
        """Submit a run to the cluster."""
        words = (job, self._threads, self._device, self._stop_name)
        with self._scheduler_there():
            future = self._client.submit(_run_on_worker, *words, pure=False, key=f"{job.name}-{uuid.uuid4()}")
        self._running[future] = job

    def finished(self) -> list[Outcome]:
        """The runs that ended since the last call."""
        with self._scheduler_there():
            done = [future for future in self._running if future.done()]
            answers = [future.exception() or future.result() for future in done]
        return [_outcome(answer, self._running.pop(future)) for future, answer in zip(done, answers, strict=True)]

    def stop(self) -> None:
        """Make every run save and end, wait for them, and close the connection."""
        try:
            if self._running:
                with self._scheduler_there():
                    self._stop.set()
                # Closing the client cancels runs that have not begun; a run that needs longer to save finishes saving.
                deadline = time.monotonic() + _STOP_TIMEOUT
                while not all(future.done() for future in self._running) and time.monotonic() < deadline:
                    time.sleep(0.1)
        finally:
            self._client.close()

    @contextmanager
    def _scheduler_there(self) -> Iterator[None]:
        """Turn communication errors into a RunError: the scheduler is lost, and submitted runs are cancelled."""
        lost = f"lost the scheduler at {self._address}: every run saves; the same command continues"
        if self._client.status != "running" or any(future.cancelled() for future in self._running):
            raise RunError(lost)
        try:
            yield
        except (OSError, RuntimeError, ValueError, *_CANCELLED) as error:  # a closed connection, a closed client
            raise RunError(lost) from error

    def _check_workers(self, address: str, out: Path) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_WORKER_TIMEOUT)
        except TimeoutError as error:
            raise RunError(
                f"the scheduler at {address} has no workers: start some with `dask worker {address}`"
            ) from error
        token = out / f".access-by-workers-{uuid.uuid4().hex}"
        out.mkdir(parents=True, exist_ok=True)
        token.touch()
        try:
            for worker, (version, has_access) in self._client.run(_version_and_access, str(token)).items():
                if version != __version__:
                    raise RunError(
                        f"worker {worker} has improved-gan {version}, here is {__version__}: install the same"
                    )
                if not has_access:
                    raise RunError(f"worker {worker} cannot access {out}: give an --out that all machines share")
        except RunError:
            raise
        except Exception as error:  # an error on a worker may be of any type
            raise RunError(f"a worker cannot run improved-gan ({error}): install it there too") from error
        finally:
            token.unlink(missing_ok=True)


def _outcome(answer: Outcome | BaseException, job: Job) -> Outcome:
    """The worker's outcome, or a failure if it raised an error, such as after several workers died."""
    if isinstance(answer, Outcome):
        return answer
    return failed(job, f"{type(answer).__name__} on the cluster: {str(answer).partition(chr(10))[0]}")


def _run_on_worker(job: Job, threads: int, device: str | None, stop_name: str) -> Outcome:
    """On a worker: start the run as a process and wait for it."""
    asked = _distributed().Event(stop_name)

    return run_job(
        job,
        threads=threads,
        device=device,
        lock_timeout=_LOCK_TIMEOUT,
        stop=_once_a_second(lambda: bool(asked.is_set())),
    )


def _once_a_second(ask: Callable[[], bool]) -> Callable[[], bool]:
    """Call `ask` at most once a second: each call is a message to the scheduler."""
    last, answer = -1.0, False

    def asked() -> bool:
        nonlocal last, answer
        if not answer and time.monotonic() - last >= 1:
            last, answer = time.monotonic(), ask()
        return answer

    return asked


def _version_and_access(path: str) -> tuple[str, bool]:
    from improved_gan import __version__ as version

    return version, os.path.exists(path)  # noqa: PTH110 (sent to the worker by value)


def _quiet() -> None:
    """Silence the client's own log: errors are reported by this module; the workers are other processes."""
    for name in ("distributed", *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ModuleNotFoundError as error:
        raise RunError("--scheduler needs dask.distributed: pip install 'improved-gan[dask]'") from error

"""Run the missing runs of a table in a pool, and report the progress."""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from improved_gan.reproduction.executors import Pool
from improved_gan.reproduction.job_status import read_status
from improved_gan.reproduction.plan import Job
from improved_gan.reproduction.run_subprocess import Outcome
from improved_gan.training.errors import InterruptedRunError
from improved_gan.training.signals import StopRequest

__all__ = ["Watcher", "run_all"]

_POLL, _BUSY_PAUSE = 0.2, 5.0  # seconds


class Watcher(Protocol):
    """Receives the progress of the runs; implemented by `progress.Display`."""

    def watch(self, running: Iterable[Job]) -> None:
        """Called a few times a second with the runs that were submitted."""

    def ended(self, outcome: Outcome) -> None:
        """A run ended."""


def run_all(
    jobs: Iterable[Job],
    pool: Pool,
    *,
    watcher: Watcher,
    stop: StopRequest,
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Compute every run that is not done, also those that failed earlier; a failure does not stop the other runs.

    Args:
        jobs: the runs, in the order in which they start.
        pool: computes the runs; it is stopped at the end.
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
                if len(given) >= pool.num_slots:
                    break
                waiting.remove(job)
                given[job] = None
                pool.submit(job)
            watcher.watch(given)
            for outcome in pool.finished():
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
        pool.stop()
    return outcomes

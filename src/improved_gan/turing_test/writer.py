"""One thread that writes: jobs that wait are committed together, so many answers share one write to the disk.

A job is told that it is done only after the commit. A server that is killed has therefore either stored an answer or
never confirmed it, and the browser sends an unconfirmed answer again.

SQLite commits into a log beside the file (`-wal`). Here the log is moved into the file before a job is told, unless
others wait: then at least once a second. So a copy of the file alone holds what was confirmed, too, but for the last
second of a busy study (and while something reads the database for long).
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

__all__ = ["Writer"]

Result = TypeVar("Result")
_MOST_TOGETHER = 64
_ATTEMPTS = 3
_MOVE_SECONDS = 1.0


class Writer:
    """Runs jobs `job(connection) -> result` in order, many in one transaction.

    Use as a context manager; leaving it finishes what waits.
    """

    def __init__(self, engine: Engine) -> None:
        self._writing = engine.execution_options(sqlite_begin="IMMEDIATE")
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._moved_at = 0.0
        self._connection: Connection | None = None  # kept open: taking one from the pool costs as much as an answer
        self._queue: queue.SimpleQueue[tuple[Callable[[Connection], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="turing-test-writer", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, job: Callable[[Connection], Result]) -> "Future[Result]":
        """Queue a job; the future has its result once it is committed, or the error that undid it."""
        future: Future[Result] = Future()
        self._queue.put((job, future))
        return future

    def close(self) -> None:
        """Finish what waits, then stop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            jobs, last = self._next_jobs()
            # from here on nobody can cancel them: what is committed is also told
            jobs = [job for job in jobs if job[1].set_running_or_notify_cancel()]
            try:
                self._together(jobs)
            except BaseException as error:  # this thread must live: without it every later write would wait for ever
                for _, future in jobs:
                    if not future.done():
                        future.set_exception(error)
                self._forget()
            if last:
                self._forget()
                return

    def _together(self, jobs: list[Any]) -> None:
        if not jobs:
            return
        try:
            results = self._commit(jobs)
        except Exception:  # one of them failed: each on its own, so that the others are not undone with it
            away: Exception | None = None
            for job in jobs:  # a database that is away is tried for the first one only: each try may take seconds
                away = self._alone(job) if away is None else _fail(job, away)
            return
        for (_, future), result in zip(jobs, results, strict=True):
            future.set_result(result)

    def _next_jobs(self) -> tuple[list[Any], bool]:
        jobs, last = [], False
        job = self._queue.get()
        while True:
            if job is None:
                last = True
                break
            jobs.append(job)
            if len(jobs) == _MOST_TOGETHER or self._queue.empty():
                break
            job = self._queue.get()
        return jobs, last

    def _commit(self, jobs: list[Any]) -> list[Any]:
        if self._connection is None or self._connection.invalidated:
            self._forget()
            self._connection = self._writing.connect()
        with self._connection.begin():
            results = [job(self._connection) for job, _ in jobs]
        if self._is_sqlite and (self._queue.empty() or time.monotonic() - self._moved_at > _MOVE_SECONDS):
            self._move_log(self._connection)
        return results

    def _move_log(self, connection: Connection) -> None:
        """What was committed, from the log into the file; a failure costs nothing, for the log holds it all."""
        with contextlib.suppress(Exception):
            driver: Any = connection.connection.driver_connection  # past SQLAlchemy, which would begin a transaction
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._moved_at = time.monotonic()

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # it may be lost already
                connection.invalidate()
            with contextlib.suppress(Exception):
                connection.close()

    def _alone(self, job: Any) -> Exception | None:
        """Run one job; returns the error if no connection could be had for it."""
        for attempt in range(_ATTEMPTS):
            try:
                (result,) = self._commit([job])
            except OperationalError as error:  # a lost connection, a lock: another try on a new connection
                was_away = self._connection is None
                self._forget()
                if was_away or attempt == _ATTEMPTS - 1:
                    job[1].set_exception(error)
                    return error if was_away else None
            except Exception as error:
                job[1].set_exception(error)
                return None
            else:
                job[1].set_result(result)
                return None
        return None


def _fail(job: Any, error: Exception) -> Exception:
    job[1].set_exception(error)
    return error

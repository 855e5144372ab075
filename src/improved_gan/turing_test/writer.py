"""The single thread that writes: queued jobs are committed in one transaction, so that many answers cost one fsync.

Why one thread: SQLite has one writer at a time. Request threads that wrote by themselves would wait for its lock, and
each would pay an fsync of its own; a queue needs no lock, keeps the order of arrival, and groups what arrives during a
commit into the next one (group commit).

What is confirmed when: a job's future gets its result only after the commit (`synchronous=FULL`, so after the fsync).
A server that is killed has therefore either stored an answer or never confirmed it, and the browser sends an
unconfirmed answer again; the jobs accept the same answer twice.

Invariant of checkpointing: SQLite commits into a write-ahead log next to the file (`-wal`). Here the log is copied into
the file (a WAL checkpoint) before a job's future gets its result, unless more jobs are queued: then at least once a
second. So a copy of the main file without the log contains every confirmed answer, too, except for the last second
under load (and while a long read transaction keeps SQLite from completing a checkpoint).
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
_MAX_JOBS = 64  # of one transaction: bounds how long the first of them waits
_ATTEMPTS = 3  # of one job, each on a new connection
_CHECKPOINT_SECONDS = 1.0  # between checkpoints while jobs are queued


class Writer:
    """Runs jobs `job(connection) -> result` in order, many in one transaction.

    Use as a context manager; at exit the queued jobs are finished.
    """

    def __init__(self, engine: Engine) -> None:
        self._writing = engine.execution_options(sqlite_begin="IMMEDIATE")
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._checkpointed_at = 0.0
        self._connection: Connection | None = None  # kept open: taking one from the pool costs as much as an answer
        self._queue: queue.SimpleQueue[tuple[Callable[[Connection], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="turing-test-writer", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, job: Callable[[Connection], Result]) -> "Future[Result]":
        """Queue a job; the future gets its result after the commit, or the error that rolled it back."""
        future: Future[Result] = Future()
        self._queue.put((job, future))
        return future

    def close(self) -> None:
        """Finish the queued jobs, then stop the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            jobs, last = self._next_jobs()
            # From here on futures cannot be cancelled: whatever is committed is also confirmed.
            jobs = [job for job in jobs if job[1].set_running_or_notify_cancel()]
            try:
                self._commit_together(jobs)
            except BaseException as error:  # the thread must go on: without it all later jobs would wait forever
                for _, future in jobs:
                    if not future.done():
                        future.set_exception(error)
                self._drop_connection()
            if last:
                self._drop_connection()
                return

    def _commit_together(self, jobs: list[Any]) -> None:
        if not jobs:
            return
        try:
            results = self._commit(jobs)
        except Exception:  # one failed and all were rolled back: retry each in a transaction of its own
            unreachable: Exception | None = None
            for job in jobs:  # an unreachable database is tried for the first job only: each try may take seconds
                unreachable = self._commit_alone(job) if unreachable is None else _fail(job, unreachable)
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
            if len(jobs) == _MAX_JOBS or self._queue.empty():
                break
            job = self._queue.get()
        return jobs, last

    def _commit(self, jobs: list[Any]) -> list[Any]:
        if self._connection is None or self._connection.invalidated:
            self._drop_connection()
            self._connection = self._writing.connect()
        with self._connection.begin():
            results = [job(self._connection) for job, _ in jobs]
        if self._is_sqlite and (self._queue.empty() or time.monotonic() - self._checkpointed_at > _CHECKPOINT_SECONDS):
            self._checkpoint(self._connection)
        return results

    def _checkpoint(self, connection: Connection) -> None:
        """Copy the write-ahead log into the main file; a failure loses nothing, as the log keeps what was committed.

        PASSIVE does not wait for readers, so a report that reads for long does not delay answers.
        """
        with contextlib.suppress(Exception):
            driver: Any = connection.connection.driver_connection  # not by SQLAlchemy, which would begin a transaction
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._checkpointed_at = time.monotonic()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # it may be lost already
                connection.invalidate()
            with contextlib.suppress(Exception):
                connection.close()

    def _commit_alone(self, job: Any) -> Exception | None:
        """Run one job in its own transaction; returns the error if no connection could be made."""
        for attempt in range(_ATTEMPTS):
            try:
                (result,) = self._commit([job])
            except OperationalError as error:  # a lost connection or a lock: try again on a new connection
                was_disconnected = self._connection is None
                self._drop_connection()
                if was_disconnected or attempt == _ATTEMPTS - 1:
                    job[1].set_exception(error)
                    return error if was_disconnected else None
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

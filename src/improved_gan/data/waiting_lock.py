"""A lock between processes: one works, the others wait and print a message."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["waiting_lock"]

_POLL = 0.1  # seconds


@contextmanager
def waiting_lock(path: Path, *, busy: str, timeout: float = -1) -> Iterator[None]:
    """Hold a lock file; where another process holds it, say `busy` on stderr and wait. The file stays behind.

    Args:
        path: of the lock file; its folder must be there.
        busy: one line.
        timeout: seconds to wait for another process, at least 0; -1: as long as it takes.

    Raises:
        TimeoutError: it took longer.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, waiting_lock(Path(folder) / ".lock", busy="waiting"):
    ...     print("alone")
    alone
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        sys.stderr.write(f"{busy}\n")
        lock.acquire(timeout, poll_interval=_POLL)
    try:
        yield
    finally:
        lock.release()

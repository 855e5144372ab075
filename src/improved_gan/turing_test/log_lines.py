"""Log lines that do not multiply: what is said often is said once, and counted."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["OnceInAWhile", "log_lines_once"]

_LOGGERS = ("uvicorn.error", "asyncio", "improved_gan.turing_test")


class OnceInAWhile(logging.Filter):
    """Lets a line through once in `seconds`; the next one of its kind says how many were left out.

    Lines are of one kind if they have the same template and, where they carry a traceback, the same type of error.

    Example:
        >>> once = OnceInAWhile(seconds=60)
        >>> line = logging.LogRecord("name", logging.WARNING, "", 0, "no %s", ("file",), None)
        >>> once.filter(line), once.filter(line)
        (True, False)
    """

    def __init__(self, *, seconds: float, clock: Callable[[], float] = time.monotonic, most_kinds: int = 1000) -> None:
        super().__init__()
        self._seconds, self._clock, self._most_kinds = seconds, clock, most_kinds
        self._seen: OrderedDict[tuple[object, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        now = self._clock()
        error = record.exc_info[0] if record.exc_info else None
        kind = (record.name, record.levelno, str(record.msg), error)
        then, left_out = self._seen.pop(kind, (-float("inf"), 0))
        if now - then < self._seconds:
            self._seen[kind] = (then, left_out + 1)
            return False
        self._seen[kind] = (now, 0)
        if len(self._seen) > self._most_kinds:
            self._seen.popitem(last=False)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more such lines since the last one)", ()
        return True


@contextmanager
def log_lines_once(*, seconds: float = 10.0) -> Iterator[None]:
    """What the server, the event loop and this room log, once in `seconds` for each kind of line."""
    once = OnceInAWhile(seconds=seconds)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(once)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(once)

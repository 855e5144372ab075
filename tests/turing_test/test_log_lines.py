import logging

import pytest

from improved_gan.turing_test.log_lines import OnceInAWhile, log_lines_once


def line(words: str, *values: object, error: Exception | None = None) -> logging.LogRecord:
    shown = None if error is None else (type(error), error, None)
    return logging.LogRecord("server", logging.WARNING, "", 0, words, values, shown)


def test_lines_of_one_kind_are_written_once_and_counted() -> None:
    now = [0.0]
    once = OnceInAWhile(seconds=10, clock=lambda: now[0])
    assert [once.filter(line("from %s", k)) for k in range(1000)] == [True] + [False] * 999
    assert once.filter(line("another"))
    assert once.filter(line("from %s", 0, error=OSError()))
    assert once.filter(line("from %s", 0, error=ValueError()))
    now[0] = 11.0
    later = line("from %s", "here")
    assert once.filter(later)
    assert later.getMessage() == "from here (999 more such lines since the last one)"
    assert not once.filter(line("from %s", "here"))


def test_memory_is_bounded() -> None:
    once = OnceInAWhile(seconds=10, most_kinds=5)
    assert all(once.filter(line(f"kind {k}")) for k in range(100))
    assert len(once._seen) == 5


def test_the_loggers_are_left_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("asyncio")
    before = list(logger.filters)
    with caplog.at_level(logging.WARNING), log_lines_once():
        for _ in range(50):
            logger.warning("out of files")
    assert [one.message for one in caplog.records] == ["out of files"]
    assert logger.filters == before

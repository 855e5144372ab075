import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from improved_gan.data.ordered_map import chunked, num_cores, ordered_map


def test_order_is_kept_whatever_finishes_first() -> None:
    assert list(ordered_map(lambda n: (time.sleep(0.002 * (n % 3)), n)[1], range(30), workers=4)) == list(range(30))


def test_several_threads_work_and_few_items_wait() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    barrier = threading.Barrier(2, timeout=10)  # passes only when two threads are in it
    results = ordered_map(lambda n: (barrier.wait() if n < 2 else None, n)[1], items(), workers=2)
    assert next(results) == 0
    assert len(taken) <= 7
    results.close()


def test_an_error_ends_it() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda n: 1 // (n - 5), range(100), workers=2))


def test_chunks() -> None:
    assert list(chunked(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunked([], 2)) == []


QUOTA = """
import builtins, io, os
from unittest import mock
texts = {"/sys/fs/cgroup/cpu.max": "250000 100000"}  # as in a container with --cpus 2.5
exists, open_file = os.path.exists, open
with (
    mock.patch("os.cpu_count", lambda: 64),
    mock.patch("os.sched_getaffinity", lambda _: set(range(64)), create=True),
    mock.patch("os.path.exists", lambda path: path in texts or exists(path)),
    mock.patch("builtins.open", lambda path, *more, **options: (
        io.StringIO(texts[path]) if path in texts else open_file(path, *more, **options))),
):
    from improved_gan.data.ordered_map import num_cores
    print(num_cores())
"""


def test_the_quota_of_a_container_limits_the_cores() -> None:
    done = subprocess.run([sys.executable, "-c", QUOTA], capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity of processes")
def test_the_affinity_limits_the_cores() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert num_cores() == 1
    finally:
        os.sched_setaffinity(0, before)

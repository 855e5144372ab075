import threading
import time
from collections.abc import Iterator

import pytest

from improved_gan.data.ordered_map import chunked, num_workers, ordered_map


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


def test_chunks_and_workers() -> None:
    assert list(chunked(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunked([], 2)) == []
    assert num_workers() >= 1

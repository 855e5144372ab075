"""Map a function over many items in several threads; results keep the order of the items, and few are buffered."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["chunked", "num_cores", "ordered_map"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], *, workers: int) -> Iterator[Result]:
    """Like `map`, by several threads; no more than three items a thread are taken ahead of use.

    Args:
        function: called from the threads; what it raises is raised here.
        items: taken from the calling thread alone.
        workers: number of threads.

    >>> list(ordered_map(str.upper, "abc", workers=2))
    ['A', 'B', 'C']
    """
    coming: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ordered_map")
    try:
        for item in items:
            coming.append(pool.submit(function, item))
            if len(coming) >= 3 * workers:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def chunked(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter.

    >>> list(chunked("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def num_cores() -> int:
    """The CPU cores that this process may use: by its affinity, and by the quota of its container (rounded up).

    >>> num_cores() >= 1
    True
    """
    from joblib.externals.loky import cpu_count  # joblib's own says 1 where JOBLIB_MULTIPROCESSING is 0

    return int(cpu_count())

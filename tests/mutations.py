"""Damaged copies of files and of JSON values, for the tests of their readers; the same for the same seed.

`mutations` damages bytes anywhere, `damaged_headers` every second copy in its header, `damaged_values` a JSON value.
"""

import copy
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

from improved_gan.turing_test.errors import TuringTestError

NUM = int(os.environ.get("IMPROVED_GAN_MUTATIONS", "200"))  # of each file; set it higher to look for more

_AWKWARD = (
    b"\0", b"\n", b"\r", b'"', b",", b";", b"\t", b"\\", b"/", b"../", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b"-1", b"NaN", b"1e999", b"Infinity", b"9" * 400, b"null", b"{}", b"[]", b"[" * 3000, b'{"a":' * 3000, b"\x80" * 8,
    b"\xff" * 8, b"x" * 5000, b"\x1b[31m", b"PK\3\4", b"PK\5\6", b"%s%n", b"unknown", "e\u0301".encode(),
)  # fmt: skip
_VALUES = (None, -1, 0, 1.5, "", "x", [], {}, True, 10**400, "9" * 300, [[]], {"a": 1}, float("inf"), float("nan"),
           "\0", "\ud800", "a\nb")  # fmt: skip


def mutations(content: bytes, *, seed: int, num: int = NUM) -> Iterator[bytes]:
    """Damaged copies, the same for the same seed."""
    source = random.Random(seed)
    for _ in range(num):
        damaged = bytearray(content)
        for _ in range(source.choice((1, 1, 1, 2, 4))):
            _damage(damaged, source)
        yield bytes(damaged)


def _damage(content: bytearray, source: random.Random) -> None:
    size = len(content)
    start = source.randrange(size + 1)
    end = min(size, start + source.choice((1, 2, 4, 16, 64)))
    kind = source.randrange(7)
    if kind == 0 and size:
        content[start % size] ^= 1 << source.randrange(8)
    elif kind == 1:
        content[start:end] = source.randbytes(end - start)
    elif kind == 2:
        del content[start:end]
    elif kind == 3:
        del content[start:]
    elif kind == 4:
        content[start:start] = content[start:end]
    elif kind == 5:
        content[start:start] = source.choice(_AWKWARD)
    else:
        content[start:end] = source.choice(_AWKWARD)


def damaged_headers(content: bytes, num: int, *, seed: int = 0, front: int = 400) -> Iterator[bytes]:
    """`num` damaged copies; every second one is damaged in its first `front` bytes, where formats keep their sizes."""
    for number in range(num):
        source = random.Random(seed * 1_000_003 + number)
        damaged = bytearray(content)
        end = min(front, len(content)) if number % 2 else len(content)
        for _ in range(source.choice((1, 1, 2, 8))):
            _damage_size(damaged, source, min(end, len(damaged)))
        yield bytes(damaged)


def _damage_size(content: bytearray, source: random.Random, end: int) -> None:
    start = source.randrange(max(end, 1))
    kind = source.randrange(6)
    if kind <= 1:
        content[start : start + 1] = bytes([source.randrange(256)])
    elif kind == 2:
        content[start : start + 4] = source.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"))
    elif kind == 3:
        del content[start : start + source.choice((1, 4, 100))]
    elif kind == 4:
        content[start:start] = content[start : start + source.choice((1, 4, 100))]
    else:
        del content[start:]


def damaged_values(stored: Any, num: int) -> Iterator[Any]:
    """In each one value of the JSON, anywhere in it, is another one or is missing."""
    paths: list[list[Any]] = []

    def walk(value: Any, path: list[Any]) -> None:
        paths.append(path)
        items = value.items() if isinstance(value, dict) else enumerate(value[:5]) if isinstance(value, list) else ()
        for key, one in items:
            walk(one, [*path, key])

    walk(stored, [])
    for seed in range(num):
        source, made = random.Random(seed), copy.deepcopy(stored)
        *way, last = paths[source.randrange(1, len(paths))]
        inner = made
        for key in way:
            inner = inner[key]
        if source.random() < 0.2:
            del inner[last]
        else:
            inner[last] = source.choice(_VALUES)
        yield made


def read_all(contents: Iterator[Any], read: Callable[[Any], Any]) -> int:
    """Read each; an error must be one line of at most 500 characters. How many were refused."""
    messages: list[str] = []
    for content in contents:
        try:
            read(content)
        except TuringTestError as error:
            messages.append(str(error))
    assert [one for one in messages if len(one.splitlines()) != 1 or len(one) > 500] == []
    return len(messages)

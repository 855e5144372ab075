"""Files as a bad disk, a careless editor or an attacker leaves them: seeded mutations, and what a reader may do."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from improved_gan.turing_test.errors import TuringTestError

_WORDS = (
    b"NaN",
    b"-1",
    b"1e999",
    b"null",
    b"\0",
    b'"',
    b",",
    b"\xff\xfe",
    b"9" * 40,
    b"[]",
    b"{}",
    b"\n",
    b"true",
    b"''",
)
_VALUES = (None, -1, 0, 1.5, "", "x", [], {}, True, 10**400, "9" * 300, [[]], {"a": 1}, float("inf"), float("nan"),
           "\0", "\ud800", "a\nb")  # fmt: skip


def damaged_bytes(content: bytes, num: int) -> Iterator[bytes]:
    """One to three bytes or spans of each are changed, cut, doubled or put in."""
    for seed in range(num):
        generator, data = np.random.default_rng(seed), bytearray(content)
        for _ in range(generator.integers(1, 4)):
            start = int(generator.integers(len(data) + 1))
            end = min(len(data), start + int(generator.integers(1, 30)))
            span = bytes(data[start:end])
            noise = generator.integers(0, 256, max(1, len(span)), dtype=np.uint8).tobytes()
            data[start:end] = (noise, b"", 2 * span, noise + span, _WORDS[generator.integers(len(_WORDS))])[
                generator.integers(5)
            ]
            if generator.random() < 0.1:
                del data[start:]
        yield bytes(data)


def damaged_values(stored: Any, num: int) -> Iterator[Any]:
    """In each one value of the JSON, anywhere in it, is another one or is missing."""
    places: list[list[Any]] = []

    def walk(value: Any, place: list[Any]) -> None:
        places.append(place)
        items = value.items() if isinstance(value, dict) else enumerate(value[:5]) if isinstance(value, list) else ()
        for key, one in items:
            walk(one, [*place, key])

    walk(stored, [])
    for seed in range(num):
        generator, made = np.random.default_rng(seed), copy.deepcopy(stored)
        *way, last = places[generator.integers(1, len(places))]
        inner = made
        for key in way:
            inner = inner[key]
        if generator.random() < 0.2:
            del inner[last]
        else:
            inner[last] = _VALUES[generator.integers(len(_VALUES))]
        yield made


def read_all(contents: Iterator[Any], read: Callable[[Any], Any]) -> int:
    """Read each; whatever is wrong must be told in one line that is not longer than a few. How many were refused."""
    told: list[str] = []
    for content in contents:
        try:
            read(content)
        except TuringTestError as error:
            told.append(str(error))
    assert [one for one in told if len(one.splitlines()) != 1 or len(one) > 500] == []
    return len(told)

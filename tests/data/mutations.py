"""Damaged copies of a file: bytes changed, cut out, doubled, moved; the same ones every time."""

import random
from collections.abc import Iterator


def mutations(content: bytes, num: int, *, seed: int = 0, front: int = 400) -> Iterator[bytes]:
    """`num` damaged copies; every second one is damaged in its first `front` bytes, where formats keep their sizes."""
    for number in range(num):
        source = random.Random(seed * 1_000_003 + number)
        damaged = bytearray(content)
        reach = min(front, len(content)) if number % 2 else len(content)
        for _ in range(source.choice((1, 1, 2, 8))):
            _damage(damaged, source, min(reach, len(damaged)))
        yield bytes(damaged)


def _damage(content: bytearray, source: random.Random, reach: int) -> None:
    place = source.randrange(max(reach, 1))
    kind = source.randrange(6)
    if kind <= 1:
        content[place : place + 1] = bytes([source.randrange(256)])
    elif kind == 2:
        content[place : place + 4] = source.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"))
    elif kind == 3:
        del content[place : place + source.choice((1, 4, 100))]
    elif kind == 4:
        content[place:place] = content[place : place + source.choice((1, 4, 100))]
    else:
        del content[place:]

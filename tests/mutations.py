"""Damaged copies of a file, for the tests of its readers: bytes flipped, cut, doubled, or awkward ones put in."""

import os
import random
from collections.abc import Iterator

NUM = int(os.environ.get("IMPROVED_GAN_MUTATIONS", "200"))  # of each file; set it higher to look for more

_AWKWARD = (
    b"\0", b"\n", b"\r", b'"', b",", b";", b"\t", b"\\", b"/", b"../", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b"-1", b"NaN", b"1e999", b"Infinity", b"9" * 400, b"null", b"{}", b"[]", b"[" * 3000, b'{"a":' * 3000, b"\x80" * 8,
    b"\xff" * 8, b"x" * 5000, b"\x1b[31m", b"PK\3\4", b"PK\5\6", b"%s%n", b"unknown", "e\u0301".encode(),
)  # fmt: skip


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

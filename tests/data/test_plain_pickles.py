"""Python's own pickles are the referee for what is read; what is refused is made by hand."""

import contextlib
import itertools
import pickle
import pickletools
import random
import warnings

import numpy as np
import pytest

from improved_gan.data.plain_pickles import PickleError, read_plain_pickle
from tests.mutations import damaged_headers

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 3072), dtype=np.uint8)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_plain_values_as_python_reads_them(protocol: int) -> None:
    value = {
        "text": "é", b"bytes": b"\x00\xff" * 200, "numbers": [0, 255, 256, 65536, -1, 2**31, 2**70],
        "empty": [[], {}, ()],
        "tuples": [(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], "constants": [None, True, False], "long": ["x" * 300] * 3,
    }  # fmt: skip
    content = pickle.dumps(value, protocol=protocol)
    assert read_plain_pickle(content) == pickle.loads(content) == value


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("old", [False, True])
def test_byte_arrays(protocol: int, old: bool) -> None:
    content = pickle.dumps({"data": IMAGES}, protocol=protocol)
    if old and protocol < 4:  # the address that the function had before NumPy 2
        content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    np.testing.assert_array_equal(read_plain_pickle(content)["data"], IMAGES)


def test_a_pickle_as_python_2_wrote_it() -> None:
    """The instructions of the published files: strings of bytes (U, T), not text."""
    name = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\t"
    dtype = b"cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    data = name + b"(K\x01K\x02K\x02\x86" + dtype + b"\x89U\x04\x00\x01\xfe\xfftb"
    content = b"\x80\x02}q\x01(U\x06labelsq\x04]q\x05(K\x06K\teU\x04dataq\x06" + data + b"U\x0bbatch_labelU\x01\xe9u."
    found = read_plain_pickle(content)
    assert (found[b"labels"], found[b"data"].tolist(), found[b"batch_label"]) == ([6, 9], [[0, 1], [254, 255]], b"\xe9")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of the function's old address
        np.testing.assert_array_equal(pickle.loads(content, encoding="bytes")[b"data"], found[b"data"])


def _dump(value: object) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


DTYPE = b"cnumpy\ndtype\n"
U1 = DTYPE + b"(" + _dump("u1") + _dump(False) + _dump(True) + b"tR"
EMPTY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _dump((0,)) + _dump(b"b")
BUILT = U1 + _dump((3, "|", None, None, None, -1, -1, 0)) + b"b"
STARTED = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + _dump((0,)) + b"C\x01b\x87R"


def _array(state: bytes) -> bytes:
    return b"\x80\x03" + STARTED + state + b"b."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02" + DTYPE + b"(" + _dump("O") + _dump(False) + _dump(True) + b"tR.", "only uint8 arrays are read"),
        (b"\x80\x02" + DTYPE + b"(" + _dump("V8") + b"tR.", "only uint8 arrays are read"),
        (b"\x80\x02" + DTYPE + b"(]tR.", "only uint8 arrays are read"),
        (b"\x80\x02" + U1 + _dump((3, "|", None, ("a",), {}, 8, 1, 0)) + b"b.", "another state of a dtype"),
        (b"\x80\x02cnumpy\nndarray\n" + _dump(((1,), "u1")) + b"R.", "only uint8 arrays are read"),
        (b"\x80\x02cos\nsystem\n.", "asks for os.system"),
        (b"\x80\x02]K\x01b.", "sets the state of something that is not an array"),
        (_array(b"(" + _dump(1) + _dump((2, 2)) + BUILT + b"\x89C\x03abct"), r"shape \(2, 2\) has 3 bytes"),
        (_array(b"(" + _dump(1) + _dump((-1,)) + BUILT + b"\x89C\x00t"), "whole numbers"),
        (_array(b"(" + _dump(1) + _dump((3,)) + BUILT + b"\x88C\x03abct"), "C's order"),
        (_array(b"(" + _dump(1) + _dump((3,)) + _dump("u1") + b"\x89C\x03abct"), "must be of uint8"),
        (_array(_dump(7)), "five parts"),
        (b"\x80\x02]q\x00(h\x00e(.", "2 values are left"),
        (b"\x80\x02]", "STOP|not exhausted|exhausted"),
        (b"\x80\x02}]K\x01s.", "neither text nor bytes"),
        (b"\x80\x02K\x01K\x02e.", "mark is missing"),
        (b"\x80\x02a.", "list index|out of range"),
        (b"\x80\x02h\x07.", "7"),
        (b"(i__main__\nx\n.", "instruction INST"),
        (b"\x80\x02c__builtin__\ng\xc3\x9f\n.", "ascii"),
    ],
)  # fmt: skip
def test_what_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(PickleError, match=message) as error:
        read_plain_pickle(content)
    assert "\n" not in str(error.value)


def outcome(content: bytes) -> str:
    """One line, or nothing where a value was read."""
    try:
        read_plain_pickle(content)
    except PickleError as error:
        return str(error)
    return ""


def test_damaged_files_are_one_line_or_a_value() -> None:
    content = pickle.dumps({"labels": [1, 2, 3], "data": IMAGES, "filenames": ["a.png"] * 3}, protocol=2)
    found = [outcome(damaged) for damaged in damaged_headers(content, 400)]
    assert 5 < found.count("") < 395  # what is read has a changed pixel
    assert not any("\n" in one for one in found)


def test_any_order_of_instructions_is_one_line_or_a_value() -> None:
    """Programs of random instructions, so that each of them meets each kind of value."""
    parts = (U1, BUILT, STARTED, EMPTY, _dump({"a": [1, (2, 3)]}), b"(h\x00h\x01tR0bse(u2")
    pieces = [piece for part in parts for piece in _instructions(b"\x80\x02" + part + b".")]
    for seed in range(300):
        source = random.Random(seed)
        assert "\n" not in outcome(b"\x80\x02" + b"".join(source.choices(pieces, k=source.randrange(3, 40))) + b".")


def _instructions(content: bytes) -> list[bytes]:
    places: list[int] = []
    with contextlib.suppress(ValueError):
        places.extend(place for _, _, place in pickletools.genops(content) if place)
    return [content[start:end] for start, end in itertools.pairwise(places)]

"""SciPy writes the files; what is damaged must be one line or numbers, never the end of the process."""

import io
import struct
import zlib

import numpy as np
import pytest
import scipy.io

from improved_gan.data.matlab_file import MatlabError, read_matlab
from tests.mutations import damaged_headers

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "X": RANDOM.integers(0, 256, (4, 3, 2, 5), dtype=np.uint8),
    "y": np.array([[1], [10], [3]], np.uint8),
    "double": RANDOM.normal(size=(2, 3)),
    "single": RANDOM.normal(size=(1, 3)).astype(np.float32),
    "whole": np.array([[-(2**40), 2**40]]),
    "short": np.array([[1, -2]], np.int16),
    "none": np.zeros((0, 2), np.uint8),
}


def written(arrays: dict[str, object], *, compressed: bool = True) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays, do_compression=compressed)
    return buffer.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_as_scipy_writes_them(compressed: bool) -> None:
    others = {"text": "abc", "cell": np.array(["a", 1], object), "struct": {"X": 1}, "complex": np.array([[1j]])}
    found = read_matlab(written({**others, **ARRAYS}, compressed=compressed), ARRAYS)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_the_other_byte_order_and_numbers_kept_small() -> None:
    """A double matrix [[1, 2, 3]] whose values are kept as bytes in a short element, big endian."""
    matrix = struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIii", 5, 8, 1, 3) + struct.pack(">HH4s", 1, 1, b"m")
    matrix += struct.pack(">HH4s", 3, 2, b"\1\2\3")
    content = b" " * 124 + struct.pack(">H", 0x0100) + b"MI" + struct.pack(">II", 14, len(matrix)) + matrix
    found = read_matlab(content, ("m",))["m"]
    assert (found.dtype, found.tolist()) == (np.float64, [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not start as"),
        (b"\x89HDF" + bytes(200), "does not start as"),
        (written(ARRAYS)[:-20], "cut short"),
        (written(ARRAYS)[:132], "cut short"),
        (written({"X": np.array([[1j]])}), "no array of real numbers"),
        (written({"X": np.array(["a", 1], object)}), "no array of real numbers"),
        (written({"X": {"a": 1}}), "no array of real numbers"),
        (written({})[:128] + struct.pack("<II", 15, 9) + b"x" * 9, "cannot be unpacked"),
        (written({})[:128] + struct.pack("<II", 15, 8) + zlib.compress(b""), "unpacks to nothing"),
        (written({})[:128] + struct.pack("<II", 14, 0), "flags, dimensions and a name"),
    ],
)
def test_what_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(MatlabError, match=message):
        read_matlab(content, ("X",))


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_files_are_one_line_or_numbers(compressed: bool) -> None:
    content, found = written({"X": ARRAYS["X"], "y": ARRAYS["y"]}, compressed=compressed), []
    for damaged in damaged_headers(content, 400):
        try:
            found.append(str(sorted(read_matlab(damaged, ("X", "y")))))
        except MatlabError as error:
            found.append(f"{error} is told")
    assert not any("\n" in one for one in found)
    assert sum("is told" in one for one in found) > 100

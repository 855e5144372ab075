"""Arrays of numbers in MATLAB 5 files, read here: SciPy's reader, given a damaged file, may end the whole process.

    header: 116 bytes of text, 8 bytes, version 0x0100, "IM" (little endian) or "MI"
    element: type (4), number of bytes (4), data, filled up to 8 bytes; short ones: number (2), type (2), data (4)
    matrix: elements flags, dimensions, name, values; compressed: zlib of one matrix

Source: MathWorks, MAT-File Format, chapter 1, "Level 5".
"""

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["MatlabError", "read_matlab"]

_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_INT32, _UINT32, _MATRIX, _COMPRESSED = 5, 6, 14, 15
_COMPLEX = 0x0800
_HEADER = 128
_LARGEST = 1 << 30  # bytes of one matrix; SVHN's largest has 225 MB


class MatlabError(ValueError):
    """A file that is damaged, or of another kind."""


@dataclass(frozen=True)
class _Element:
    type: int
    data: memoryview


def read_matlab(content: bytes, names: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays of these names.

    Args:
        content: of the file.
        names: of arrays of real numbers; what else the file holds is passed over.

    Returns:
        Those that are there, of the shapes and dtypes that the file states.

    Raises:
        MatlabError: no MATLAB 5 file, a damaged one, or something of these names that is no array of real numbers.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[_HEADER - 2 : _HEADER])
    if order is None or struct.unpack_from(f"{order}H", content, _HEADER - 4)[0] != 0x0100:
        raise MatlabError("it does not start as a MATLAB 5 file does")
    found = {}
    for element in _elements(memoryview(content)[_HEADER:], order):
        matrix = _unpacked(element, order) if element.type == _COMPRESSED else element
        if matrix.type == _MATRIX:
            parts = _elements(matrix.data, order)
            flags, dimensions, name = _next(parts, _UINT32), _next(parts, _INT32), bytes(_next(parts, 1))
            if (text := name.decode("latin1")) in names:
                found[text] = _array(flags, dimensions, parts, order)
    return found


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """One after the other."""
    offset = 0
    while offset < len(data):
        if len(data) - offset < 8:
            raise MatlabError("it is cut short")
        first, size = struct.unpack_from(f"{order}II", data, offset)
        start, kind = offset + 8, first
        if first >> 16:  # a short one: its data are where the number of bytes would be
            start, size, kind = offset + 4, first >> 16, first & 0xFFFF
            if size > 4:
                raise MatlabError("a short element has more than 4 bytes")
        if start + size > len(data):
            raise MatlabError(f"it is cut short: {size} bytes are promised, {len(data) - start} are there")
        yield _Element(kind, data[start : start + size])
        offset = start + (4 if first >> 16 else size if kind == _COMPRESSED else -(-size // 8) * 8)


def _unpacked(element: _Element, order: str) -> _Element:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(element.data, _LARGEST)
    except zlib.error as error:
        raise MatlabError(f"it cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise MatlabError("it is cut short, or unpacks to more than 1 GiB")
    first = next(_elements(memoryview(content), order), None)
    if first is None:
        raise MatlabError("it unpacks to nothing")
    return first


def _next(parts: Iterator[_Element], kind: int) -> memoryview:
    part = next(parts, None)
    if part is None or part.type != kind:
        raise MatlabError("a matrix must have flags, dimensions and a name")
    return part.data


def _array(flags: memoryview, dimensions: memoryview, parts: Iterator[_Element], order: str) -> np.ndarray:
    values = next(parts, None)
    flag = struct.unpack_from(f"{order}I", flags)[0] if len(flags) == 8 else 0
    if values is None or values.type not in _TYPES or flag & 0xFF not in _CLASSES or flag & _COMPLEX:
        raise MatlabError("it is no array of real numbers")
    stored = np.dtype(order + _TYPES[values.type])
    if not 8 <= len(dimensions) <= 32 or len(dimensions) % 4 or len(values.data) % stored.itemsize:
        raise MatlabError("its dimensions or the number of its bytes are impossible")
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    numbers = np.frombuffer(values.data, stored)
    if min(shape) < 0 or math.prod(shape) != len(numbers):
        raise MatlabError(f"an array of shape {shape} has {len(numbers)} numbers")
    wanted = np.dtype(_CLASSES[flag & 0xFF])
    if not np.can_cast(stored, wanted):
        raise MatlabError(f"numbers of type {stored.name} cannot be kept as {wanted.name}")
    return numbers.astype(wanted).reshape(shape, order="F")

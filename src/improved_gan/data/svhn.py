"""SVHN, cropped digits: 73,257 training and 26,032 test photographs of house numbers, 32x32 in color (Netzer et al.).

Looked for in the folder given, in IMPROVED_GAN_DATA (the folder itself or its subfolder `svhn`), then in the cache,
into which it is downloaded. The files are MATLAB 5: `X` (32, 32, 3, N) uint8 and `y` (N, 1), 10 for the digit 0.

They are read here: SciPy's reader, given a damaged file, may end the whole process.
    header: 116 bytes of text, 8 bytes, version 0x0100, "IM" (little endian) or "MI"
    element: type (4), number of bytes (4), data, filled up to 8 bytes; short ones: number (2), type (2), data (4)
    matrix: elements flags, dimensions, name, values; compressed: zlib of one matrix

Source: MathWorks, MAT-File Format, chapter 1, "Level 5".
"""

import math
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from improved_gan.data.dataset import DataError, Dataset, LabeledImages
from improved_gan.data.dataset_paths import check_md5, first_existing
from improved_gan.data.download import cache_folder, download

__all__ = ["SVHN_FILES", "SVHN_MIRRORS", "MatlabError", "load_svhn", "read_matlab", "read_svhn"]


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
            raise MatlabError("it is truncated")
        first, size = struct.unpack_from(f"{order}II", data, offset)
        start, kind = offset + 8, first
        if first >> 16:  # a short one: its data are where the number of bytes would be
            start, size, kind = offset + 4, first >> 16, first & 0xFFFF
            if size > 4:
                raise MatlabError("a short element has more than 4 bytes")
        if start + size > len(data):
            raise MatlabError(f"it is truncated: {size} bytes are announced, {len(data) - start} are there")
        yield _Element(kind, data[start : start + size])
        offset = start + (4 if first >> 16 else size if kind == _COMPRESSED else -(-size // 8) * 8)


def _unpacked(element: _Element, order: str) -> _Element:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(element.data, _LARGEST)
    except zlib.error as error:
        raise MatlabError(f"it cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise MatlabError("it is truncated, or unpacks to more than 1 GiB")
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
        raise MatlabError("it is not an array of real numbers")
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


SVHN_FILES = {  # MD5 of the files, training images first
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
_LARGEST_DOWNLOAD = 1 << 28  # bytes; the training images have 182 MB
SVHN_MIRRORS = ("http://ufldl.stanford.edu/housenumbers/",)


def load_svhn(
    folder: str | Path | None = None, *, files: Mapping[str, str] = SVHN_FILES, mirrors: Sequence[str] = SVHN_MIRRORS
) -> Dataset:
    """SVHN from a folder, from IMPROVED_GAN_DATA, from the cache, or from a mirror into the cache.

    Args:
        folder: holds the two files; None looks in the other paths.
        files: name and MD5: of the training images, of the test images.
        mirrors: addresses of folders that hold them.

    Returns:
        Images (N, 3, 32, 32) uint8, ten classes; class 0 is the digit 0.

    Raises:
        DataError: a file is missing, damaged, of another kind or altered, or no mirror answers.

    Source: Y. Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, 2011.
    """
    folder = _find_folder(None if folder is None else Path(folder), files) or _downloaded(files, mirrors)
    train, test = (read_svhn(folder / name, md5=md5) for name, md5 in files.items())
    return Dataset(name="svhn", class_names=tuple("0123456789"), train=train, test=test)


def read_svhn(path: Path, *, md5: str | None = None) -> LabeledImages:
    """One of the two files.

    Args:
        path: a MATLAB 5 file with `X` and `y`.
        md5: the sum that it must have.

    Returns:
        Images (N, 3, 32, 32) uint8 and the digits, 0 to 9.

    Raises:
        DataError: unreadable, another sum, or not of this form.
    """
    if md5 is not None:
        check_md5(path, md5)
    content = _matlab(path)
    images, labels = content["X"], content["y"].reshape(-1, order="F")
    if images.ndim != 4 or images.shape[:3] != (32, 32, 3) or images.dtype != np.uint8:
        raise DataError(
            f"{path}: X must be (32, 32, 3, N) uint8; it is {images.shape} {images.dtype}: take the cropped digits "
            "(train_32x32.mat, test_32x32.mat)"
        )
    if len(labels) != images.shape[3] or not np.isin(labels, range(1, 11)).all():
        raise DataError(
            f"{path}: y must hold {images.shape[3]} digits from 1 to 10 (10 is the digit 0); it has {len(labels)}, "
            f"from {labels.min(initial=0)} to {labels.max(initial=0)}: download the file again"
        )
    rows = torch.from_numpy(np.ascontiguousarray(images.transpose(3, 2, 0, 1)))
    return LabeledImages(rows, torch.from_numpy(labels.astype(np.int64) % 10))


def _matlab(path: Path) -> Mapping[str, np.ndarray]:
    try:
        content = read_matlab(path.read_bytes(), ("X", "y"))
    except (OSError, MatlabError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path} cannot be read as a MATLAB 5 file ({reason}): delete it and download it again"
        ) from error
    if missing := [name for name in ("X", "y") if name not in content]:
        raise DataError(f"{path} holds no {' and no '.join(missing)}: take train_32x32.mat and test_32x32.mat of SVHN")
    return content


def _find_folder(folder: Path | None, files: Mapping[str, str]) -> Path | None:
    """The folder given (which must hold both files), else the first search path that holds them."""
    if folder is None:
        return first_existing("svhn", lambda path: None if _missing(path, files) else path)
    if missing := _missing(folder, files):
        raise DataError(f"{folder} lacks {', '.join(missing)}: give the folder that contains SVHN's cropped digits")
    return folder


def _missing(folder: Path, files: Mapping[str, str]) -> list[str]:
    return [name for name in files if not (folder / name).is_file()]


def _downloaded(files: Mapping[str, str], mirrors: Sequence[str]) -> Path:
    """Fetch the missing files into the cache; a file is checked before it gets its name."""
    folder = cache_folder() / "svhn"
    for name in _missing(folder, files):
        download(
            [f"{mirror}{name}" for mirror in mirrors],
            folder / name,
            check=partial(check_md5, md5=files[name]),
            remedy=f"or give the folder that holds {' and '.join(files)}: --data DIR",
            largest=_LARGEST_DOWNLOAD,
        )
    return folder

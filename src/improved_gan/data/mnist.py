"""MNIST from its four idx files, compressed or not: 60,000 training and 10,000 test digits of 28x28 (LeCun et al.).

Looked for in the folder given, in IMPROVED_GAN_DATA (the folder itself or its subfolder `mnist`), then in the cache,
into which it is downloaded from the first mirror that answers. The uncompressed content must carry the published MD5
sums, whatever compressed it.
"""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from improved_gan.data.dataset import DataError, Dataset, LabeledImages
from improved_gan.data.dataset_paths import first_existing
from improved_gan.data.download import cache_folder, download

__all__ = ["MNIST_FILES", "MNIST_MIRRORS", "load_mnist", "read_idx"]

# MD5 of the uncompressed files, as published.
MNIST_FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

_LARGEST = 1 << 28  # bytes that are unpacked at most; the training images have 47 MB
_LARGEST_DOWNLOAD = 1 << 25  # bytes; they have 10 MB compressed


def load_mnist(
    folder: str | Path | None = None, *, files: Mapping[str, str] = MNIST_FILES, mirrors: Sequence[str] = MNIST_MIRRORS
) -> Dataset:
    """MNIST from a folder, from IMPROVED_GAN_DATA, from the cache, or from a mirror into the cache.

    Args:
        folder: holds the four files, plain or .gz; None looks in the other paths.
        files: name and MD5 of the uncompressed content: training images and labels, test images and labels.
        mirrors: addresses of folders that hold the files as .gz.

    Returns:
        Images (N, 1, 28, 28) uint8, ten classes.

    Raises:
        DataError: a file is missing, truncated, of another kind or altered, or no mirror answers.
    """
    folder = _find_folder(None if folder is None else Path(folder), files) or _downloaded(files, mirrors)
    train_images, train_labels, test_images, test_labels = (
        read_idx(_path(folder, name), md5=md5) for name, md5 in files.items()
    )
    return Dataset(
        name="mnist",
        class_names=tuple("0123456789"),
        train=LabeledImages(train_images.unsqueeze(1), train_labels.long()),
        test=LabeledImages(test_images.unsqueeze(1), test_labels.long()),
    )


def read_idx(path: Path, *, md5: str | None = None) -> Tensor:
    """One idx file of unsigned bytes, gzip or plain.

    Args:
        path: the file; compressed if its name ends in .gz.
        md5: the sum that the uncompressed content must have.

    Returns:
        uint8 of the shape that the file states.

    Raises:
        DataError: unreadable, truncated, not an idx file, or another sum than `md5`.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_LARGEST)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read ({error}): it is damaged or truncated: delete it and download it again"
        ) from error
    if content[:3] != b"\0\0\x08" or len(content) < 4 or content[3] > 4 or len(content) < 4 + 4 * content[3]:
        raise DataError(
            f"{path} is not an idx file (it starts with {content[:4].hex(' ')}): delete it and download it again"
        )
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if values.size != math.prod(shape):
        raise DataError(
            f"{path} is truncated: {math.prod(shape)} bytes are announced, {values.size} are there: "
            "delete it and download it again"
        )
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and found != md5:
        raise DataError(
            f"{path} has MD5 {found} when uncompressed, where {md5} is published: delete it and download it again"
        )
    return torch.from_numpy(values.reshape(shape).copy())


def _find_folder(folder: Path | None, files: Mapping[str, str]) -> Path | None:
    """The folder given (which must hold all files), else the first search path that holds them all."""
    if folder is not None:
        missing = [name for name in files if not _path(folder, name).is_file()]
        if missing:
            raise DataError(f"{folder} lacks {', '.join(missing)} (plain or .gz): give the folder that contains MNIST")
        return folder
    return first_existing("mnist", lambda place: place if all(_path(place, name).is_file() for name in files) else None)


def _path(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def _downloaded(files: Mapping[str, str], mirrors: Sequence[str]) -> Path:
    """Fetch the missing files into the cache; a file is checked before it gets its name."""
    folder = cache_folder() / "mnist"
    for name, md5 in files.items():
        if not _path(folder, name).is_file():
            download(
                [f"{mirror}{name}.gz" for mirror in mirrors],
                folder / f"{name}.gz",
                check=partial(read_idx, md5=md5),
                remedy="or give the folder that holds the four MNIST files: --data DIR",
                largest=_LARGEST_DOWNLOAD,
            )
    return folder

"""Memory-mapped NumPy files of images, features and statistics: memory does not grow with the number of rows.

    images      .npy (N, H, W, C), (N, C, H, W) or (N, H, W) uint8; .npz with such an array `arr_0` (or one array only)
    features    .npy (N, A) floating point; .npz with `features` (N, A), and optionally `logits` (N, K) and the network
                that they come from: `network`, `sha256`, `resize`, `precision`; `names` (N,) of the images' files
    statistics  .npz of a reference's mean and covariance, `mu` and `sigma` (`statistics_files`)

An array that is compressed inside its .npz is first unpacked into an unnamed temporary file. Nothing is unpickled.
"""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.lib import format as numpy_format
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.features import drawn_rows, random_order
from improved_gan.metrics.frechet_distance import FeatureStatistics
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.nearest_neighbors import usable_rows
from improved_gan.metrics.network import check_logits
from improved_gan.metrics.statistics_files import NETWORK_KEYS

__all__ = [
    "FeatureFile",
    "ImageArray",
    "is_array_file",
    "open_array_file",
]


_BLOCK = 2048


def is_array_file(path: Path) -> bool:
    """Whether a path names a .npy or .npz file.

    >>> is_array_file(Path("cifar.npz")), is_array_file(Path("photos"))
    (True, False)
    """
    return path.suffix.lower() in (".npy", ".npz")


@dataclass(frozen=True)
class ImageArray:
    """Images (N, C, H, W) uint8, memory-mapped."""

    path: Path
    images: Tensor


@dataclass(frozen=True)
class FeatureFile:
    """Features (N, A) and, where the file has them, logits (N, K), memory-mapped; all rows are finite.

    Attributes:
        path: of the file.
        features: (N, A) floating point.
        logits: (N, K); None where the file has none.
        network: what the file says of the network, with the keys of `ScoringNetwork.as_dict()`; may be empty.
        names: of the images' files, or "row 0", ... where the file has none.
    """

    path: Path
    features: Tensor
    logits: Tensor | None
    network: dict[str, str]
    names: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the features."""
        found = hashlib.sha256(f"{self.features.dtype} {tuple(self.features.shape)}".encode())
        for part in torch.split(self.features, _BLOCK):
            found.update(part.contiguous().view(torch.uint8).numpy().tobytes())
        return found.hexdigest()

    @property
    def num_images(self) -> int:
        """N."""
        return len(self.features)

    def row_hashes(self) -> Iterator[str]:
        """SHA-256 of each row of features."""
        for part in torch.split(self.features, _BLOCK):
            yield from (hashlib.sha256(row.tobytes()).hexdigest() for row in part.numpy())

    def batches(self) -> Iterator[Outputs]:
        """Features and logits in batches; K = 0 where there are no logits."""
        for start in range(0, len(self.features), _BLOCK):
            features = self.features[start : start + _BLOCK]
            logits = features[:, :0] if self.logits is None else self.logits[start : start + _BLOCK]
            yield Outputs(features, logits)

    def matrix(self) -> Tensor:
        """(N, A), memory-mapped."""
        return self.features

    def drawn(self, num: int) -> "FeatureFile":
        """`num` of the rows, drawn in a fixed random order.

        Raises:
            MetricError: there are fewer.
        """
        if num > len(self.features):
            raise MetricError(f"--num {num} is more than the {len(self.features)} rows in {self.path}")
        logits = None if self.logits is None else drawn_rows(self.logits, num)
        positions = random_order(len(self.features)).tolist()
        names = tuple(name for name, place in zip(self.names, positions, strict=True) if place < num)
        return replace(self, features=drawn_rows(self.features, num), logits=logits, names=names)

    def load_statistics(self) -> None:
        """None: nothing is kept."""

    def save_statistics(self, statistics: FeatureStatistics) -> None:
        """Nothing is kept: one pass over the file gives the statistics again."""


def open_array_file(path: Path) -> ImageArray | FeatureFile | None:
    """The images or features of a .npy or .npz file; None for a .npz file of statistics.

    Raises:
        MetricError: no such file, a truncated or damaged one, pickled objects, or arrays that are none of these.
    """
    arrays = _arrays(path)
    if {"mu", "sigma"} & set(arrays):
        return None
    if "features" in arrays:
        return _features(path, _mapped(path, "features"), arrays)
    if "arr_0" not in arrays and len(arrays) != 1:
        raise MetricError(
            f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}: it needs `arr_0` (images), `features`, or `mu` "
            "and `sigma`"
        )
    array = _mapped(path, "arr_0" if "arr_0" in arrays else arrays[0])
    if array.ndim == 2 and array.dtype.kind == "f":
        return _features(path, array, [])
    return ImageArray(path, _images(path, array))


def _images(path: Path, array: np.ndarray) -> Tensor:
    if 0 in array.shape:
        raise MetricError(f"{path} is empty: it holds {array.shape} {array.dtype}, no pixel of an image")
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        remedy = ": convert the pixels to uint8, 0 black and 255 white" if array.ndim in (3, 4) else ""
        raise MetricError(
            f"{path} must hold images (N, H, W, C) uint8 or features (N, A) of floating point; it holds "
            f"{array.shape} {array.dtype}{remedy}"
        )
    if array.ndim == 3 and array.shape[2] in (1, 3, 4):
        raise MetricError(
            f"{path} is {array.shape}, one image (H, W, C) rather than images (N, H, W): save it as (1, H, W, C)"
        )
    if array.ndim == 3:
        return torch.from_numpy(array)[:, None]
    if array.shape[3] in (1, 3):
        return torch.from_numpy(array).permute(0, 3, 1, 2)
    if array.shape[1] in (1, 3):
        return torch.from_numpy(array)
    raise MetricError(f"images have 1 or 3 channels, last (N, H, W, C) or second (N, C, H, W); {path} is {array.shape}")


def _features(path: Path, array: np.ndarray, names: list[str]) -> FeatureFile:
    rows = _names(path, array, stored="names" in names)
    features = _checked(path, "features", array, rows)
    logits = _checked(path, "logits", _mapped(path, "logits"), rows) if "logits" in names else None
    if logits is not None and len(logits) != len(features):
        raise MetricError(f"{path} holds {len(features)} rows of features and {len(logits)} of logits")
    if logits is not None:
        check_logits(logits[:_BLOCK], f"logits in {path}")
    network = {name: str(_small(path, key)) for name, key in NETWORK_KEYS.items() if key in names}
    return FeatureFile(path, features, logits, network, rows)


def _names(path: Path, array: np.ndarray, *, stored: bool) -> tuple[str, ...]:
    """Of the images' files, where they are stored."""
    found = np.atleast_1d(_small(path, "names")) if stored else None
    if found is not None and array.ndim and found.shape != array.shape[:1]:
        raise MetricError(f"{path} holds {len(array)} rows of features and names of shape {found.shape}")
    return (
        tuple(map(str, found))
        if found is not None
        else tuple(f"row {row}" for row in range(len(array) if array.ndim else 0))
    )


def _checked(path: Path, name: str, array: np.ndarray, names: tuple[str, ...]) -> Tensor:
    """As a tensor, after a look at shape, type and every row."""
    if array.ndim != 2 or array.dtype.kind != "f" or 0 in array.shape or not array.dtype.isnative:
        raise MetricError(
            f"{name} of {path} must be (N, A) of floating point (native byte order), one row an image; it is "
            f"{array.shape} {array.dtype}"
        )
    rows, bad = torch.from_numpy(array), []
    for start in range(0, len(rows), _BLOCK):
        usable = usable_rows(rows[start : start + _BLOCK])
        bad += (start + (~usable).nonzero().flatten()).tolist()
    if bad:
        listed = ", ".join(names[row] if row < len(names) else f"row {row}" for row in bad[:5])
        more = " ..." if len(bad) > 5 else ""
        raise MetricError(
            f"{len(bad)} of {len(rows)} rows of {name} in {path} hold NaN or infinity, or above 1e70 ({listed}{more})"
        )
    return rows


def _arrays(path: Path) -> list[str]:
    """Names of the arrays in a .npz file; `arr_0` for a .npy file."""
    if path.suffix.lower() == ".npy":
        return ["arr_0"]
    with _readable(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _mapped(path: Path, name: str) -> np.ndarray:
    """An array of the file, mapped into memory: from its place in the file, or from an unpacked copy."""
    with _readable(path):
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                return _map(path, file, 0)
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as copy, path.open("rb") as file:
            entry = archive.getinfo(f"{name}.npy")
            stored = entry.compress_type == zipfile.ZIP_STORED
            with archive.open(entry) as packed, open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                shutil.copyfileobj(packed, nowhere if stored else copy)  # reads all of it: its checksum is compared
            if not stored:
                return _map(path, copy, 0)
            file.seek(entry.header_offset + 26)  # of the entry's own header: 30 bytes, its name, and extra fields
            lengths = np.frombuffer(file.read(4), dtype="<u2")
            return _map(path, file, entry.header_offset + 30 + int(lengths.sum()))


def _map(path: Path, file: IO[bytes], start: int) -> np.ndarray:
    file.seek(start)
    version = numpy_format.read_magic(file)
    read = numpy_format.read_array_header_1_0 if version == (1, 0) else numpy_format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise MetricError(f"{path} holds pickled objects, which may run code when they are read: save numbers instead")
    if 0 in shape:
        return np.zeros(shape, dtype)
    order = "F" if fortran else "C"
    # "c": a private copy of pages that are written to, so that the tensors on it are not read-only.
    mapped: Any = np.memmap
    array: np.ndarray = mapped(file, dtype=dtype, mode="c", offset=file.tell(), shape=shape, order=order)
    return array


def _small(path: Path, name: str) -> Any:
    with _readable(path), np.load(path, allow_pickle=False) as content:
        return content[name]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Every error of a damaged file (of zipfile, zlib or NumPy's parser) as one line."""
    if not path.is_file():
        raise MetricError(f"there is no {path}")
    try:
        yield
    except (MetricError, MemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise MetricError(f"{path} cannot be read (truncated or damaged?): {text}") from error

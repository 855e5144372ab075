"""Memory-mapped NumPy files of images, features and statistics: memory does not grow with the number of rows.

    images      .npy (N, H, W, C), (N, C, H, W) or (N, H, W) uint8; .npz with such an array `arr_0` (or one array only)
    features    .npy (N, A) floating point; .npz with `features` (N, A), and optionally `logits` (N, K) and the network
                that they come from: `network`, `sha256`, `resize`, `precision`
    statistics  .npz of a reference's mean and covariance, `mu` and `sigma`, as other FID programs use them, and beside
                them `count`, `network`, `sha256`, `resize`, `precision`

An array that is compressed inside its .npz is first unpacked into an unnamed temporary file. Nothing is unpickled.
"""

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.lib import format as numpy_format
from numpy.lib.npyio import NpzFile
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.features import drawn_rows
from improved_gan.metrics.frechet_distance import FeatureStatistics
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import check_logits

__all__ = [
    "FeatureFile",
    "ImageArray",
    "compare_networks",
    "is_array_file",
    "open_array_file",
    "read_statistics",
    "statistics_bytes",
]


_BLOCK = 2048
_NETWORK = {"name": "network", "sha256": "sha256", "resize": "resize", "precision": "precision"}


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
    """

    path: Path
    features: Tensor
    logits: Tensor | None
    network: dict[str, str]

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
        return replace(self, features=drawn_rows(self.features, num), logits=logits)

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
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or 0 in array.shape:
        raise MetricError(
            f"{path} must hold images (N, H, W, C) uint8 or features (N, A) of floating point; it holds "
            f"{array.shape} {array.dtype}"
        )
    if array.ndim == 3:
        return torch.from_numpy(array)[:, None]
    if array.shape[3] in (1, 3):
        return torch.from_numpy(array).permute(0, 3, 1, 2)
    if array.shape[1] in (1, 3):
        return torch.from_numpy(array)
    raise MetricError(f"images have 1 or 3 channels, last (N, H, W, C) or second (N, C, H, W); {path} is {array.shape}")


def _features(path: Path, array: np.ndarray, names: list[str]) -> FeatureFile:
    features = _checked(path, "features", array)
    logits = _checked(path, "logits", _mapped(path, "logits")) if "logits" in names else None
    if logits is not None and len(logits) != len(features):
        raise MetricError(f"{path} holds {len(features)} rows of features and {len(logits)} of logits")
    if logits is not None:
        check_logits(logits[:_BLOCK], f"logits in {path}")
    network = {name: str(_small(path, key)) for name, key in _NETWORK.items() if key in names}
    return FeatureFile(path, features, logits, network)


def _checked(path: Path, name: str, array: np.ndarray) -> Tensor:
    """As a tensor, after a look at shape, type and every row."""
    if array.ndim != 2 or array.dtype.kind != "f" or 0 in array.shape or not array.dtype.isnative:
        raise MetricError(
            f"{name} of {path} must be (N, A) of floating point (native byte order), one row an image; it is "
            f"{array.shape} {array.dtype}"
        )
    rows, bad = torch.from_numpy(array), []
    for start in range(0, len(rows), _BLOCK):
        finite = rows[start : start + _BLOCK].isfinite().all(1)
        bad += (start + (~finite).nonzero().flatten()).tolist()
    if bad:
        listed = ", ".join(map(str, bad[:5])) + (" ..." if len(bad) > 5 else "")
        raise MetricError(f"{len(bad)} of {len(rows)} rows of {name} in {path} hold NaN or infinity (rows {listed})")
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


# key of `ScoringNetwork.as_dict()` -> key of the file
_KEYS = {"name": "network", "sha256": "sha256", "resize": "resize", "precision": "precision"}


def statistics_bytes(statistics: FeatureStatistics, network: Mapping[str, str]) -> bytes:
    """The content of the file; `network` is `ScoringNetwork.as_dict()`, or empty where it is not known."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {_KEYS[name]: np.array(text) for name, text in network.items() if text}
    arrays |= {"mu": statistics.mean.numpy(), "sigma": statistics.covariance.numpy()}
    if statistics.count is not None:
        arrays["count"] = np.array(statistics.count)
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def read_statistics(path: Path, network: Mapping[str, str]) -> tuple[FeatureStatistics, list[str], dict[str, str]]:
    """Statistics for comparison with features of this network (empty where it is not known), warnings, their network.

    Raises:
        MetricError: no such file, or one that cannot be read, of another network or resize, with a count that is
            no number of images, or with NaN.
    """
    content = _content(path)
    named = {name: _text(content[key]) for name, key in _KEYS.items() if key in content}
    warnings = compare_networks(path, named, network, "statistics")
    count = _count(path, content["count"]) if "count" in content else None
    if count is None:
        warnings.append(f"{path} does not say how many images it was made of")
    moments = (_moment(path, content, name) for name in ("mu", "sigma"))
    return FeatureStatistics.from_moments(count, *moments), warnings, named


def compare_networks(path: Path, found: Mapping[str, str], network: Mapping[str, str], what: str) -> list[str]:
    """Warnings where a file does not say the network, or another precision.

    Args:
        path: of the file.
        found: what it says of the network, with the keys of `ScoringNetwork.as_dict()`.
        network: what it is compared with; empty where nothing is known of it.
        what: the file holds.

    Raises:
        MetricError: the file is of another network or resize.
    """
    if not {"name", "sha256"} & set(found):
        return [f"{path} names no network: its numbers compare only if it was made with the same one"]
    if not network:
        return []
    if (found.get("name"), found.get("sha256")) != (network.get("name"), network.get("sha256")):
        raise MetricError(
            f"{path} was made with {found.get('name')} (sha256 {found.get('sha256', '?')[:12]}), the images are "
            f"scored with {network.get('name')} ({network.get('sha256', '?')[:12]}): make the {what} again with the "
            "same network"
        )
    if found.get("resize", network.get("resize")) != network.get("resize"):
        raise MetricError(
            f"{path} was made with another resize ({found['resize']}; here: {network.get('resize')}): make the {what} "
            "again"
        )
    if found.get("precision", network.get("precision")) != network.get("precision"):
        return [f"{path} was made in {found['precision']}, the images are scored in {network.get('precision')}"]
    return []


def _content(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, NpzFile):
                raise ValueError("it holds one array (.npy), not several by name (.npz)")
            return {name: file[name] for name in file.files}
    except Exception as error:  # a damaged file fails in zipfile, zlib, lzma, or NumPy's parser, each in its own way
        raise MetricError(f"{path} cannot be read as a statistics file: {' '.join(str(error).split())}") from error


def _moment(path: Path, content: dict[str, Any], name: str) -> Tensor:
    if name not in content:
        raise MetricError(f"{path} holds no {name!r}: a statistics file has mu and sigma")
    if content[name].dtype.kind not in "fiu":
        raise MetricError(f"{name} of {path} must be real numbers; it has dtype {content[name].dtype}")
    return torch.from_numpy(content[name].astype(np.float64))


def _count(path: Path, count: Any) -> int:
    if count.shape != () or count.dtype.kind not in "iu" or count < 2:
        raise MetricError(f"count of {path} must be one whole number of at least 2; got {_text(count)}")
    return int(count)


def _text(value: Any) -> str:
    return " ".join(str(value).split())[:200]

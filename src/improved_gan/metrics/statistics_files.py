"""Files of mean and covariance of features, and which network a file of statistics or features was made with.

A .npz with `mu` and `sigma`, as other FID programs use them, and beside them `count`, `network`, `sha256`, `resize`,
`precision`. Nothing is unpickled.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.frechet_distance import FeatureStatistics

__all__ = ["NETWORK_KEYS", "compare_networks", "read_statistics", "statistics_bytes"]

# key of `ScoringNetwork.as_dict()` -> key of the file
NETWORK_KEYS = {"name": "network", "sha256": "sha256", "resize": "resize", "precision": "precision"}


def statistics_bytes(statistics: FeatureStatistics, network: Mapping[str, str]) -> bytes:
    """The content of the file; `network` is `ScoringNetwork.as_dict()`, or empty where it is not known."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {NETWORK_KEYS[name]: np.array(text) for name, text in network.items() if text}
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
    named = {name: _text(content[key]) for name, key in NETWORK_KEYS.items() if key in content}
    warnings = compare_networks(path, named, network, "statistics")
    count = _count(path, content["count"]) if "count" in content else None
    if count is None:
        warnings.append(f"{path} does not say how many images it was made of")
    moments = [_moment(path, content, name) for name in ("mu", "sigma")]
    try:
        return FeatureStatistics.from_moments(count, *moments), warnings, named
    except MetricError as error:
        raise MetricError(f"{path}: {error}") from error


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
    differing = [name for name in ("resize", "precision") if name in found and name in network]  # both say it
    differing = [name for name in differing if found[name] != network[name]]
    if "resize" in differing:
        raise MetricError(
            f"{path} was made with another resize ({found['resize']}; here: {network['resize']}): make the {what} again"
        )
    if differing:
        return [f"{path} was made in {found['precision']}, the images are scored in {network['precision']}"]
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

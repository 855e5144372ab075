"""Mean and covariance of a reference in one .npz file, with the network that they belong to.

Keys `mu` and `sigma`, as other FID programs use them, and beside them `count`, `network`, `sha256`, `resize`,
`precision`.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.frechet_distance import FeatureStatistics
from improved_gan.metrics.network import ScoringNetwork

__all__ = ["read_statistics", "statistics_bytes"]


def statistics_bytes(statistics: FeatureStatistics, network: ScoringNetwork) -> bytes:
    """The content of the file."""
    buffer = io.BytesIO()
    about = {
        "network": network.name,
        "sha256": network.digest,
        "resize": network.resize,
        "precision": network.precision,
    }
    arrays: dict[str, Any] = {name: np.array(text) for name, text in about.items()}
    arrays |= {"mu": statistics.mean.numpy(), "sigma": statistics.covariance.numpy()}
    arrays["count"] = np.array(statistics.count)
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def read_statistics(path: Path, network: ScoringNetwork) -> tuple[FeatureStatistics, list[str]]:
    """Statistics for comparison with features of this network, and warnings.

    Raises:
        MetricError: no such file, or one that cannot be read, of another network, or with NaN.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
            mean, covariance = torch.from_numpy(content["mu"]), torch.from_numpy(content["sigma"])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise MetricError(f"{path} cannot be read as a statistics file: {error}") from error
    except KeyError as error:
        raise MetricError(f"{path} holds no {error}: a statistics file has mu and sigma") from error
    found = {name: str(content[name]) for name in ("network", "sha256") if name in content}
    if found and (found.get("network"), found.get("sha256")) != (network.name, network.digest):
        raise MetricError(
            f"{path} was made with {found.get('network')} (sha256 {found.get('sha256', '?')[:12]}), the images are "
            f"scored with {network.name} ({network.digest[:12]}): make the statistics again with the same network"
        )
    warnings = [] if found else [f"{path} names no network: its numbers compare only if it was made with the same one"]
    if not found or "count" not in content:
        warnings.append(f"{path} does not say how many images it was made of")
    return FeatureStatistics.from_moments(int(content.get("count", np.array(2**31))), mean, covariance), warnings

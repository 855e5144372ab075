from pathlib import Path

import numpy as np
import pytest
import torch

from improved_gan.metrics import FeatureStatistics, MetricError
from improved_gan.metrics.statistics_file import read_statistics, statistics_bytes
from tests.pictures import quick_network

STATISTICS = FeatureStatistics.of(torch.rand(20, 4))


def test_there_and_back(tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(statistics_bytes(STATISTICS, quick_network()))
    found, warnings = read_statistics(tmp_path / "s.npz", quick_network())
    assert warnings == []
    assert found.count == 20
    torch.testing.assert_close(found.covariance, STATISTICS.covariance)


def test_another_networks_are_refused_and_unnamed_ones_warned_of(tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(statistics_bytes(STATISTICS, quick_network()))
    with pytest.raises(MetricError, match=r"made with quick \(sha256 000000000000\), the images are scored with other"):
        read_statistics(tmp_path / "s.npz", quick_network("other"))
    np.savez(tmp_path / "plain.npz", mu=STATISTICS.mean, sigma=STATISTICS.covariance)
    found, warnings = read_statistics(tmp_path / "plain.npz", quick_network())
    assert any("names no network" in text for text in warnings)
    torch.testing.assert_close(found.covariance, STATISTICS.covariance)


def test_bad_files(tmp_path: Path) -> None:
    file = tmp_path / "s.npz"
    with pytest.raises(MetricError, match="cannot be read"):
        read_statistics(file, quick_network())
    file.write_bytes(b"no zip")
    with pytest.raises(MetricError, match="cannot be read"):
        read_statistics(file, quick_network())
    np.savez(file, mean=np.zeros(3))
    with pytest.raises(MetricError, match=r"holds no .*mu"):
        read_statistics(file, quick_network())
    np.savez(file, mu=np.full(3, np.nan), sigma=np.eye(3))
    with pytest.raises(MetricError, match="finite"):
        read_statistics(file, quick_network())

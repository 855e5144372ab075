from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from improved_gan.metrics import FeatureStatistics, MetricError
from improved_gan.metrics.statistics_file import read_statistics, statistics_bytes
from tests.mutations import damaged_headers
from tests.pictures import quick_network

STATISTICS = FeatureStatistics.of(torch.rand(20, 4))


def test_there_and_back(tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(statistics_bytes(STATISTICS, quick_network().as_dict()))
    found, warnings, network = read_statistics(tmp_path / "s.npz", quick_network().as_dict())
    assert (warnings, network) == ([], quick_network().as_dict())
    assert found.count == 20
    torch.testing.assert_close(found.covariance, STATISTICS.covariance)


def test_another_networks_are_refused_and_unnamed_ones_warned_of(tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(statistics_bytes(STATISTICS, quick_network().as_dict()))
    with pytest.raises(MetricError, match=r"made with quick \(sha256 000000000000\), the images are scored with other"):
        read_statistics(tmp_path / "s.npz", quick_network("other").as_dict())
    np.savez(tmp_path / "plain.npz", mu=STATISTICS.mean, sigma=STATISTICS.covariance)
    found, warnings, _ = read_statistics(tmp_path / "plain.npz", quick_network().as_dict())
    assert any("names no network" in text for text in warnings)
    assert any("does not say how many images" in text for text in warnings)
    assert found.count is None
    torch.testing.assert_close(found.covariance, STATISTICS.covariance)


def test_another_resize_is_refused_and_another_precision_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "s.npz"
    file.write_bytes(statistics_bytes(STATISTICS, replace(quick_network(), precision="bfloat16").as_dict()))
    _, warnings, _ = read_statistics(file, quick_network().as_dict())
    assert warnings == [f"{file} was made in bfloat16, the images are scored in float32"]
    file.write_bytes(statistics_bytes(STATISTICS, replace(quick_network(), resize="nearest").as_dict()))
    with pytest.raises(MetricError, match=r"another resize \(nearest; here: none\)"):
        read_statistics(file, quick_network().as_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mu": np.array(["a", "b"])}, "mu of .* must be real numbers; it has dtype <U1"),
        ({"mu": np.zeros(2, dtype=complex)}, "must be real numbers; it has dtype complex128"),
        ({"sigma": np.array([[True, False], [False, True]])}, "sigma of .* must be real numbers"),
        ({"count": np.array([5, 6])}, r"count of .* at least 2; got \[5 6\]"),
        ({"count": np.array("many")}, "count of .* at least 2; got many"),
        ({"count": np.array(1)}, "count of .* at least 2; got 1"),
        ({"count": np.array(2.5)}, "count of .* at least 2; got 2.5"),
        ({"sigma": np.eye(3)}, "must be .*got"),
    ],
)
def test_content_that_is_no_statistics(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "s.npz", **({"mu": np.zeros(2), "sigma": np.eye(2)} | change))
    with pytest.raises(MetricError, match=message):
        read_statistics(tmp_path / "s.npz", quick_network().as_dict())


def test_numbers_of_any_real_type(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mu=np.zeros(2, dtype=">f4"), sigma=np.eye(2, dtype=np.int16), count=np.int32(9))
    found, _, _ = read_statistics(tmp_path / "s.npz", quick_network().as_dict())
    assert (found.count, found.mean.dtype, found.covariance.tolist()) == (9, torch.float64, [[1, 0], [0, 1]])


def test_damaged_files_are_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "s.npz"
    with file.open("wb") as opened:
        np.save(opened, np.zeros(3))
    with pytest.raises(MetricError, match=r"one array \(\.npy\)"):
        read_statistics(file, quick_network().as_dict())
    np.savez_compressed(file, mu=np.random.default_rng(0).random(500), sigma=np.eye(500))
    whole = file.read_bytes()
    for place in (60, 200, 1000, len(whole) // 2, len(whole) - 30):
        file.write_bytes(whole[:place] + bytes(8) + b"\xff" * 8 + whole[place + 16 :])
        with pytest.raises(MetricError) as caught:
            read_statistics(file, quick_network().as_dict())
        assert "\n" not in str(caught.value)


def test_bad_files(tmp_path: Path) -> None:
    file = tmp_path / "s.npz"
    with pytest.raises(MetricError, match="cannot be read"):
        read_statistics(file, quick_network().as_dict())
    file.write_bytes(b"no zip")
    with pytest.raises(MetricError, match="cannot be read"):
        read_statistics(file, quick_network().as_dict())
    np.savez(file, mean=np.zeros(3))
    with pytest.raises(MetricError, match=r"holds no .*mu"):
        read_statistics(file, quick_network().as_dict())
    np.savez(file, mu=np.full(3, np.nan), sigma=np.eye(3))
    with pytest.raises(MetricError, match="finite"):
        read_statistics(file, quick_network().as_dict())


def test_any_wrong_byte_is_one_line_or_the_same_statistics(tmp_path: Path) -> None:
    content, file, refused = statistics_bytes(STATISTICS, quick_network().as_dict()), tmp_path / "s.npz", 0
    for damaged in damaged_headers(content, 300, front=200):
        file.write_bytes(damaged)
        try:
            found, _, _ = read_statistics(file, quick_network().as_dict())
        except MetricError as error:
            refused += 1
            assert str(error).isprintable(), error  # noqa: PT017
        else:
            assert found.mean.equal(STATISTICS.mean)
            assert found.covariance.equal(STATISTICS.covariance)
    assert refused > 100


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mu=np.array([Path("x")], dtype=object), sigma=np.eye(1))
    with pytest.raises(MetricError, match="cannot be read as a statistics file: Object arrays cannot be loaded"):
        read_statistics(tmp_path / "s.npz", quick_network().as_dict())

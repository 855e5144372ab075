from pathlib import Path

import pytest
import torch

from improved_gan.metrics import FeatureStatistics, MetricError
from improved_gan.metrics.feature_cache import ChunkFeatures, FeatureCache
from tests.mutations import damaged_headers

CHUNK = ChunkFeatures(torch.rand(2, 3), torch.rand(2, 4), (0, 2), {1: "cannot be read"}, {"L to RGB": 2})
KEY = "ab" * 32


def test_a_chunk_comes_back_whole(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "new")
    assert cache.load(KEY) is None
    cache.save(KEY, CHUNK)
    found = cache.require(KEY)
    assert found.features.equal(CHUNK.features)
    assert found.logits.equal(CHUNK.logits)
    assert (found.good, found.bad, found.conversions) == (CHUNK.good, CHUNK.bad, CHUNK.conversions)
    assert [path.name for path in (tmp_path / "new").rglob("*.tmp")] == []


def test_features_that_are_the_logits_can_be_kept(tmp_path: Path) -> None:
    FeatureCache(tmp_path).save(KEY, ChunkFeatures(CHUNK.features, CHUNK.features, (0, 1)))
    assert FeatureCache(tmp_path).require(KEY).logits.equal(CHUNK.features)


@pytest.mark.parametrize("keep", [0, 10, 200, -1])
def test_a_damaged_chunk_is_as_if_it_were_not_there(tmp_path: Path, keep: int) -> None:
    cache = FeatureCache(tmp_path)
    cache.save(KEY, CHUNK)
    file = next(tmp_path.rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:keep])
    assert cache.load(KEY) is None
    with pytest.raises(MetricError, match="must share one cache folder"):
        cache.require(KEY)


def test_statistics(tmp_path: Path) -> None:
    cache, statistics = FeatureCache(tmp_path), FeatureStatistics.of(torch.rand(9, 3))
    assert cache.load_statistics(KEY) is None
    cache.save_statistics(KEY, statistics)
    found = cache.load_statistics(KEY)
    assert found is not None
    assert (found.count, found.mean.tolist()) == (9, statistics.mean.tolist())
    torch.testing.assert_close(found.covariance, statistics.covariance)
    file = next(tmp_path.glob("statistics-*.npz"))
    file.write_bytes(file.read_bytes()[:50])
    assert cache.load_statistics(KEY) is None


def test_any_wrong_byte_is_as_if_nothing_were_there(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.save(KEY, CHUNK)
    cache.save_statistics("s", FeatureStatistics.of(torch.rand(20, 4)))
    chunk, statistics = next(tmp_path.rglob("*.safetensors")), next(tmp_path.rglob("*.npz"))
    mean = FeatureCache(tmp_path).load_statistics("s").mean
    for damaged in damaged_headers(content := chunk.read_bytes(), 300):
        chunk.write_bytes(damaged)
        assert cache.load(KEY) is None or damaged == content
    for damaged in damaged_headers(statistics.read_bytes(), 300, front=200):
        statistics.write_bytes(damaged)
        found = cache.load_statistics("s")
        assert found is None or found.mean.equal(mean)

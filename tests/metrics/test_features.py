from pathlib import Path

import numpy as np
import pytest
import torch

from improved_gan.metrics import MetricError
from improved_gan.metrics.features import FeatureTable, drawn_rows, random_order
from tests.metrics.test_evaluation import FEATURES, LOGITS, stored


def test_the_matrix_has_all_rows_in_order_and_is_made_once(tmp_path: Path) -> None:
    table = FeatureTable(stored(tmp_path, FEATURES, LOGITS))
    assert table.matrix.equal(FEATURES)
    assert table.matrix.data_ptr() == table.matrix.data_ptr()
    assert table.features.num_images == 70


def test_statistics_are_found_again_by_content(tmp_path: Path) -> None:
    features = stored(tmp_path, FEATURES, LOGITS)
    first = FeatureTable(features).statistics()
    assert features.load_statistics() is not None
    for chunk in tmp_path.glob("*/*.safetensors"):
        chunk.unlink()
    again = FeatureTable(features).statistics()
    assert again.covariance.allclose(first.covariance)
    assert again.count == 70


def test_statistics_of_many_small_chunks_are_those_of_all_rows(tmp_path: Path) -> None:
    rows, parts = torch.randn(4500, 3, generator=torch.Generator().manual_seed(0)), []
    statistics = FeatureTable(stored(tmp_path, rows, rows)).statistics(parts.append)
    np.testing.assert_allclose(statistics.covariance, np.cov(rows.double().numpy(), rowvar=False), rtol=1e-9)
    assert (statistics.count, len(parts), sum(parts)) == (4500, 3, pytest.approx(1))


def test_no_image_gives_no_matrix_and_no_statistics(tmp_path: Path) -> None:
    table = FeatureTable(stored(tmp_path, FEATURES[:0], LOGITS[:0]))
    with pytest.raises(MetricError, match="no image could be decoded"):
        table.statistics()
    with pytest.raises(MetricError, match="no image could be decoded"):
        assert table.matrix is None


def test_positions_are_the_inverse_of_the_shuffle() -> None:
    order = np.random.RandomState(2020).permutation(50)
    assert random_order(50)[order].tolist() == list(range(50))


def test_drawn_rows_are_spread_over_all_rows() -> None:
    rows = torch.arange(5000.0)[:, None]
    drawn = drawn_rows(rows, 3000)
    assert len(drawn) == len(drawn.unique()) == 3000
    assert 2400 < float(drawn.mean()) < 2600
    assert drawn_rows(rows, 5000) is rows


FAR = np.random.default_rng(0).normal(size=(40, 3)) + 1e8  # float32 rounds them to multiples of 8


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_drawn_rows_are_rows_to_the_last_bit(dtype: torch.dtype) -> None:
    rows = torch.from_numpy(FAR - 1e8 * (dtype != torch.float64)).to(dtype)
    drawn = drawn_rows(rows, 30)
    assert drawn.dtype == dtype
    chosen = np.random.RandomState(2020).permutation(40)[:30]
    assert drawn.equal(rows[np.sort(chosen)])
    large = torch.tensor([[1e60], [2e60]], dtype=torch.float64)
    assert drawn_rows(large, 1).isfinite().all()


def test_the_matrix_of_stored_features_keeps_float64(tmp_path: Path) -> None:
    rows = torch.from_numpy(FAR)
    assert FeatureTable(stored(tmp_path, rows, rows)).matrix.equal(rows)

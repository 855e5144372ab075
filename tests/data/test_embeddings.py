from pathlib import Path

import numpy as np
import pytest
import torch

from improved_gan.data import DataError
from improved_gan.data.embeddings import Embeddings, EmbeddingScaling, read_embeddings, write_embeddings

FEATURES = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float16)
NAMES = ("a/1.png", "a/2.png", "b/é.png", "c.png")
HASHES = tuple(f"{row:064x}" for row in range(4))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    about = {"network": "n", "sha256": "0" * 64, "spec": "timm:n", "source": "photos"}
    whole = Embeddings(FEATURES, NAMES, HASHES, about, FEATURES.astype(np.float32))
    write_embeddings(tmp_path / "new" / "e.npz", whole)
    found = read_embeddings(tmp_path / "new" / "e.npz")
    assert (found.names, found.hashes, found.about) == (NAMES, HASHES, about)
    np.testing.assert_array_equal(found.features, FEATURES)
    assert found.features.dtype == np.float16
    assert found.logits is not None
    assert found.num_duplicates == 0


def test_features_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", features=FEATURES[[0, 0, 1, 0]])
    found = read_embeddings(tmp_path / "e.npz")
    assert (found.names[3], found.hashes, found.num_duplicates) == ("row 3", (), 2)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.where([[1], [0], [0], [0]], np.nan, FEATURES), r"of 1 of 4 images hold NaN or infinity \(a/1\.png\)"),
        (FEATURES[[0, 0, 0, 0]], "all embeddings are the same"),
        (FEATURES[0], r"must be \(N, A\) of floating point"),
        (FEATURES.astype(np.int64), r"must be \(N, A\) of floating point"),
        (FEATURES[:3], "3 rows of features have 4 names"),
    ],
)
def test_numbers_that_cannot_be_used(tmp_path: Path, features: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "e.npz", features=features, names=np.array(NAMES))
    with pytest.raises(DataError, match=message) as caught:
        read_embeddings(tmp_path / "e.npz")
    assert "\n" not in str(caught.value)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", features=FEATURES, names=np.array(NAMES))
    np.save(tmp_path / "e.npy", FEATURES)
    np.savez(tmp_path / "s.npz", mu=FEATURES)
    np.savez(tmp_path / "o.npz", features=np.array([{}]))
    (tmp_path / "t.npz").write_bytes((tmp_path / "e.npz").read_bytes()[:100])
    for name in ("e.npy", "s.npz", "o.npz", "t.npz"):
        with pytest.raises(DataError, match="cannot be read as embeddings"):
            read_embeddings(tmp_path / name)
    with pytest.raises(DataError, match="improved-gan embed"):
        read_embeddings(tmp_path / "none.npz")


def test_a_constant_column_is_gray_and_not_its_rounding() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 63))
    rows *= 0.75**0.5 / np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.insert(rows, 3, 0.5, axis=1).astype(np.float32)
    scaled = EmbeddingScaling.of(rows)(torch.from_numpy(rows))[:, 0, 0].numpy()
    np.testing.assert_allclose(scaled[:, 3], 0.5, atol=1e-6)
    units = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    expected = 1 / (1 + np.exp(-1.5 * (units - units.mean(0)) / units.std(0)))
    np.testing.assert_allclose(np.delete(scaled, 3, 1), np.delete(expected, 3, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "factor"),
    [("f4", 1.0), ("f4", 1e20), ("f4", 1e-25), ("f4", 1e37), ("f8", 1e300), ("f8", 1e-300), ("f2", 1e4), ("f2", 1e-3)],
)
def test_rows_of_any_length_have_their_direction(dtype: str, factor: float) -> None:
    """Squares of such numbers are infinite or 0; a row of zeros stays one."""
    rows = (np.random.default_rng(0).normal(size=(50, 20)) * factor).astype(dtype)
    rows[7] = 0
    scaled = EmbeddingScaling.of(rows)(torch.from_numpy(rows))[:, 0, 0].numpy()
    wide = rows.astype(np.float64) / factor
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    units = wide / np.where(norms > 0, norms, 1)
    expected = 1 / (1 + np.exp(-1.5 * (units - units.mean(0)) / units.std(0)))
    np.testing.assert_allclose(scaled, expected, atol=1e-5)

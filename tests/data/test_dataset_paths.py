import hashlib
from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.data.dataset_paths import check_md5, first_existing, search_paths


def test_places_come_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IMPROVED_GAN_DATA", raising=False)
    assert search_paths("x") == [tmp_path / "cache" / "x"]
    monkeypatch.setenv("IMPROVED_GAN_DATA", str(tmp_path))
    assert search_paths("x") == [tmp_path / "x", tmp_path, tmp_path / "cache" / "x"]
    (tmp_path / "cache" / "x").mkdir(parents=True)
    assert first_existing("x", lambda place: place if place.is_dir() else None) == tmp_path
    assert first_existing("x", lambda place: None) is None


def test_without_a_home_directory_there_is_no_cache_to_look_in(
    no_home: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMPROVED_GAN_DATA", str(tmp_path))
    assert search_paths("x") == [tmp_path / "x", tmp_path]


def test_sums(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 1_000_000)
    check_md5(tmp_path / "file", hashlib.md5(b"abc" * 1_000_000).hexdigest())
    with pytest.raises(DataError, match=r"has MD5 .*, where 00 is published"):
        check_md5(tmp_path / "file", "00")
    with pytest.raises(DataError, match="cannot be read"):
        check_md5(tmp_path / "none", "00")

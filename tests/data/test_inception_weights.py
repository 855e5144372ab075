import hashlib
from pathlib import Path

import pytest
import torch

from improved_gan.data import DataError, inception_weights
from improved_gan.data.inception_weights import FILE_NAME, load_weights, sha256_of
from tests.pictures import picture, png


def written(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"w": torch.full((3,), float(seed))}, path)
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_a_file_of_the_users_is_taken_with_its_own_hash(tmp_path: Path) -> None:
    file = written(tmp_path / "mine.pth")
    state, digest = load_weights(file)
    assert state["w"].tolist() == [0, 0, 0]
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest() == sha256_of(file)


def test_a_download_is_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = written(tmp_path / "right.pth"), written(tmp_path / "wrong.pth", 1)
    monkeypatch.setattr(inception_weights, "SHA256", sha256_of(right))
    with pytest.raises(DataError, match=r"its sha256 is .* or put the file into .*cache, or name it with --weights"):
        load_weights(urls=(wrong.as_uri(),))
    assert not (tmp_path / "cache" / FILE_NAME).exists()
    state, digest = load_weights(urls=(wrong.as_uri(), right.as_uri()))
    assert (state["w"].tolist(), digest) == ([0, 0, 0], sha256_of(right))
    assert load_weights(urls=())[1] == digest  # now without a network


def test_pytorchs_own_cache_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "torch" / "hub" / "checkpoints" / FILE_NAME)
    with pytest.raises(DataError, match="could not download"):
        load_weights(urls=())  # a file of that name with other content
    monkeypatch.setattr(inception_weights, "SHA256", sha256_of(file))
    assert load_weights(urls=())[0]["w"].tolist() == [0, 0, 0]


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no weight file"):
        load_weights(tmp_path / "none.pth")
    whole = written(tmp_path / "whole.pth").read_bytes()
    for content in (b"", b"no weights", png(picture(0)), whole[:200], whole[:-100], b"\x80\x02."):
        (tmp_path / "other.pth").write_bytes(content)
        with pytest.raises(
            DataError, match=r"other\.pth is not a PyTorch weight file, or a damaged one: --weights wants \S+$"
        ):
            load_weights(tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(DataError, match="no dictionary of tensors"):
        load_weights(tmp_path / "list.pth")

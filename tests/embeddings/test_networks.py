import hashlib
from pathlib import Path

import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from improved_gan.data import DataError
from improved_gan.embeddings import networks
from improved_gan.embeddings.networks import (
    INCEPTION_FILE,
    absolute_name,
    choose_network,
    load_inception_weights,
    sha256_of,
)
from improved_gan.metrics import MetricError
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
    state, digest = load_inception_weights(str(file))
    assert state["w"].tolist() == [0, 0, 0]
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest() == sha256_of(file)


def test_a_download_is_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = written(tmp_path / "right.pth"), written(tmp_path / "wrong.pth", 1)
    monkeypatch.setattr(networks, "INCEPTION_SHA256", sha256_of(right))
    with pytest.raises(DataError, match=r"its sha256 is .* or put the file into .*cache, or name it with --weights"):
        load_inception_weights(urls=(wrong.as_uri(),))
    assert not (tmp_path / "cache" / INCEPTION_FILE).exists()
    state, digest = load_inception_weights(urls=(wrong.as_uri(), right.as_uri()))
    assert (state["w"].tolist(), digest) == ([0, 0, 0], sha256_of(right))
    assert load_inception_weights(urls=())[1] == digest  # now without a network


def test_pytorchs_own_cache_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "torch" / "hub" / "checkpoints" / INCEPTION_FILE)
    with pytest.raises(DataError, match="could not download"):
        load_inception_weights(urls=())  # a file of that name with other content
    monkeypatch.setattr(networks, "INCEPTION_SHA256", sha256_of(file))
    assert load_inception_weights(urls=())[0]["w"].tolist() == [0, 0, 0]


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no weight file"):
        load_inception_weights(tmp_path / "none.pth")
    whole = written(tmp_path / "whole.pth").read_bytes()
    for content in (b"", b"no weights", png(picture(0)), whole[:200], whole[:-100], b"\x80\x02."):
        (tmp_path / "other.pth").write_bytes(content)
        with pytest.raises(
            DataError, match=r"other\.pth is not a PyTorch weight file, or a damaged one: --weights wants \S+$"
        ):
            load_inception_weights(tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(DataError, match="no dictionary of tensors"):
        load_inception_weights(tmp_path / "list.pth")


def test_a_run_stands_in(trained_run: Path) -> None:
    network = choose_network(str(trained_run))
    assert (network.channels, network.size, network.has_logits) == (1, (8, 8), True)
    assert network.name.startswith("digits classifier of this library, step ")


def test_a_run_computes_without_tf32(trained_run: Path) -> None:
    network, seen = choose_network(str(trained_run)), []
    hook = register_module_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    with hook:
        network.run(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    assert set(seen) == {False}
    assert torch.backends.cudnn.allow_tf32


def test_what_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no network .*: take inception-2015, dinov2-vitb14.*module:function"):
        choose_network(str(tmp_path))
    with pytest.raises(MetricError, match="cannot import"):
        choose_network("no_such_module:f")
    with pytest.raises(MetricError, match=r"there is no network .*none\.onnx"):
        choose_network(str(tmp_path / "none.onnx"))
    with pytest.raises(DataError, match="there is no weight file"):
        choose_network("inception-2015", weights=tmp_path / "none.pth")
    with pytest.raises(DataError, match="--weights are of inception-2015"):
        choose_network("module:function", weights=tmp_path / "none.pth")


def test_a_file_has_the_same_name_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").touch()
    assert absolute_name("run") == str(tmp_path / "run")
    assert absolute_name("nets/a.pt2") == str(tmp_path / "nets" / "a.pt2")
    for name in ("timm:model.onnx", "dinov2-vitb14", "own_net:net", "inception-2015"):
        assert absolute_name(name) == name

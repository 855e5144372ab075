import sys
from pathlib import Path

import pytest
import torch

from benchmarks.random_inception import random_weights
from improved_gan.metrics import MetricError
from improved_gan.metrics.network import digest_of, inception_network, own_network
from tests.pictures import quick_network

OWN = """
import torch
from torch import nn

class Net(nn.Module):
    image_shape = (1, 4, 5)
    def __init__(self):
        super().__init__()
        self.flatten, self.layer = nn.Flatten(), nn.Linear(20, 3)
        nn.init.constant_(self.layer.weight, 0.5)
        nn.init.zeros_(self.layer.bias)
    def forward(self, images):
        return self.layer(self.flatten(images.float()))

net = Net()
number = 3

def pair(images):
    return images.float().flatten(1), images.float().mean((2, 3))

def wrong(images):
    return images
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_network.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_network", raising=False)
    return tmp_path


def test_a_module_of_the_users(own: Path) -> None:
    network = own_network("my_network:net")
    assert (network.channels, network.size) == (1, (4, 5))
    assert "5 x 4" in network.resize
    outputs = network.run(torch.ones(2, 1, 4, 5, dtype=torch.uint8))
    assert outputs.logits.tolist() == [[10, 10, 10]] * 2
    pair = own_network("my_network:pair")
    assert (pair.channels, pair.size) == (3, None)
    assert pair.run(torch.zeros(2, 3, 2, 2, dtype=torch.uint8)).features.shape == (2, 12)


def test_the_hash_follows_code_and_weights(own: Path) -> None:
    first = own_network("my_network:net")
    sys.modules["my_network"].net.layer.weight.data[0, 0] = 7  # type: ignore[attr-defined]
    second = own_network("my_network:net")
    (own / "my_network.py").write_text(OWN + "\n# changed\n")
    third = own_network("my_network:net")
    assert len({first.digest, second.digest, third.digest}) == 3
    assert len({first.identity, second.identity, third.identity}) == 3


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("my_network", "module:function; got 'my_network'"),
        ("no_such_module_here:f", "cannot import 'no_such_module_here'"),
        ("my_network:nothing", "no callable 'nothing'"),
        ("my_network:number", "no callable 'number'"),
    ],
)
def test_wrong_names(own: Path, spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        own_network(spec)


def test_a_wrong_result_is_told(own: Path) -> None:
    with pytest.raises(MetricError, match=r"must return logits \(2, K\)"):
        own_network("my_network:wrong").run(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))


def test_the_identity_names_everything_that_counts() -> None:
    assert quick_network("a").identity != quick_network("b").identity
    assert quick_network("a").as_dict() == {"name": "a", "sha256": "0" * 64, "resize": "none", "precision": "float32"}


def test_digest_of_tensors() -> None:
    state = {"b": torch.zeros(2), "a": torch.ones(3)}
    assert digest_of(state) == digest_of(dict(reversed(state.items())))
    assert digest_of(state) != digest_of({"b": torch.zeros(2), "a": torch.ones(3).double()})
    assert digest_of({"a": torch.ones(1, dtype=torch.bfloat16)}) != digest_of({})


@pytest.mark.slow
def test_inception_as_a_scoring_network() -> None:
    network = inception_network(random_weights(), "f" * 64, precision="bfloat16")
    assert (network.name, network.precision) == ("inception-2015-12-05", "bfloat16")
    outputs = network.run(network.prepare(torch.zeros(3, 8, 8, dtype=torch.uint8))[None])
    assert outputs.logits.shape == (1, 1008)

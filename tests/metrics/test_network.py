import pytest
import torch

from benchmarks.random_inception import random_weights
from improved_gan.metrics.network import digest_of, inception_network
from tests.pictures import quick_network


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

import pytest
import torch

from benchmarks.random_inception import random_weights
from improved_gan.metrics import MetricError
from improved_gan.metrics.network import check_logits, digest_of, inception_network
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


@pytest.mark.parametrize("logits", [[[1.2, -0.2]], [[0.4, 0.6], [0.4, 0.7]], [[0.0, 0.0]], [[1.0]], [[5.0, 1.0]]])
def test_logits_that_are_no_probabilities(logits: list[list[float]]) -> None:
    check_logits(torch.tensor(logits), "net")


def test_probabilities_in_place_of_logits() -> None:
    with pytest.raises(MetricError, match="the rows of net sum to 1: they are probabilities; return logits"):
        check_logits(torch.randn(5, 3).softmax(1), "net")
    check_logits(torch.zeros(0, 3), "net")

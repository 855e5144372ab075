import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.random_inception import random_weights
from improved_gan.metrics import MetricError
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import (
    SampleScores,
    ScoringNetwork,
    check_logits,
    digest_of,
    inception_network,
    some_of,
)
from improved_gan.networks import DenseGenerator
from improved_gan.training.sampling import sample
from tests.pictures import quick_network


def test_the_identity_names_everything_that_counts() -> None:
    assert quick_network("a").identity != quick_network("b").identity
    assert quick_network("a").as_dict() == {"name": "a", "sha256": "0" * 64, "resize": "none", "precision": "float32"}


def test_digest_of_tensors() -> None:
    state = {"b": torch.zeros(2), "a": torch.ones(3)}
    assert digest_of(state) == digest_of(dict(reversed(state.items())))
    assert digest_of(state) != digest_of({"b": torch.zeros(2), "a": torch.ones(3).double()})
    assert digest_of({"a": torch.ones(1, dtype=torch.bfloat16)}) != digest_of({})


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_inception_computes_without_tf32(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    seen: list[bool] = []

    class Fake(nn.Module):
        def __init__(self, state: object, *, dtype: torch.dtype) -> None:
            super().__init__()

        def forward(self, images: Tensor) -> Outputs:
            seen.append(torch.backends.cudnn.allow_tf32)
            return Outputs(images[:, :0], images[:, :0])

    monkeypatch.setattr("improved_gan.metrics.network.Inception2015", Fake)
    monkeypatch.setattr("improved_gan.metrics.network.onnx_runtime", lambda network: None)
    inception_network({}, "0" * 64, precision=precision).run(torch.zeros(1, 3))
    assert seen == [False]
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.slow
def test_inception_as_a_scoring_network() -> None:
    network = inception_network(random_weights(), "f" * 64, precision="bfloat16")
    assert (network.name, network.precision) == ("inception-2015-12-05", "bfloat16")
    images = torch.zeros(9, 3, 8, 8, dtype=torch.uint8)  # more than go through the network together
    images[8] = 255
    prepared = network.prepare(images)
    outputs, last = network.run(prepared), network.run(prepared[8:])
    assert outputs.logits.shape == (9, 1008)
    assert torch.allclose(outputs.features[8], last.features[0], rtol=0.05, atol=0.05)
    assert not torch.allclose(outputs.features[7], last.features[0], rtol=0.05, atol=0.05)


@pytest.mark.parametrize("logits", [[[1.2, -0.2]], [[0.4, 0.6], [0.4, 0.7]], [[0.0, 0.0]], [[1.0]], [[5.0, 1.0]]])
def test_logits_that_are_no_probabilities(logits: list[list[float]]) -> None:
    check_logits(torch.tensor(logits), "net")


def test_probabilities_in_place_of_logits() -> None:
    with pytest.raises(MetricError, match="the rows of net sum to 1: they are probabilities; return logits"):
        check_logits(torch.randn(5, 3).softmax(1), "net")
    check_logits(torch.zeros(0, 3), "net")


def brightness(channels: int = 1, size: tuple[int, int] | None = None) -> ScoringNetwork:
    """Features: mean and deviation of the pixels; two classes by brightness."""

    def run(pictures: Tensor) -> Outputs:
        values = pictures.double().flatten(1) / 255
        features = torch.stack([values.mean(1), values.std(1)], dim=1)
        return Outputs(features, torch.stack([8 * features[:, 0], torch.full((len(values),), 4.0)], dim=1))

    return ScoringNetwork("brightness", "0", channels, size, "none", "float32", lambda picture: picture, run)


def test_scores_are_the_formulas() -> None:
    generator = DenseGenerator((1, 4, 4), latent_size=3, hidden=(5,))
    real = torch.randint(0, 256, (60, 1, 4, 4), dtype=torch.uint8)
    before = torch.get_rng_state()
    found = SampleScores(brightness(), real, num=40).of(sample(generator, 40, seed=1))
    assert torch.equal(before, torch.get_rng_state())
    images = sample(generator, 40, seed=1)
    features, logits = (one.numpy() for one in brightness().run(images))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    parts = [np.exp(np.mean(np.sum(q * np.log(q / q.mean(0)), axis=1))) for q in np.split(p, 10)]
    assert found["samples/inception_score"] == pytest.approx(np.mean(parts), rel=1e-6)
    assert found["samples/inception_score_std"] == pytest.approx(np.std(parts), rel=1e-4, abs=1e-9)
    other = brightness().run(real).features.numpy()
    covariances = np.cov(features.T), np.cov(other.T)
    root = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).astype(complex)).real.sum()
    distance = np.sum((features.mean(0) - other.mean(0)) ** 2) + sum(map(np.trace, covariances)) - 2 * root
    assert found["samples/frechet_distance"] == pytest.approx(distance, rel=1e-4)


def test_real_images_that_lie_class_by_class_are_compared_from_all_classes() -> None:
    labels = torch.arange(1000) // 100
    counts = torch.bincount(some_of(labels, 300), minlength=10)
    assert counts.sum() == 300
    assert counts.min() >= 15  # 30 on average, the deviation of each is below 5
    assert torch.equal(some_of(labels, 300), some_of(labels, 300))
    assert len(some_of(torch.arange(1000), 300).unique()) == 300


def test_what_does_not_fit_is_told_before_training() -> None:
    real = torch.zeros(20, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(MetricError, match="takes 1 channels, the samples have 3"):
        SampleScores(brightness(), real, num=20)
    with pytest.raises(MetricError, match="takes images of \\(8, 8\\) pixels"):
        SampleScores(brightness(3, (8, 8)), real, num=20)
    with pytest.raises(MetricError, match="at least as many samples; got 9"):
        SampleScores(brightness(3), real, num=9)
    SampleScores(brightness(3), real[:, :1], num=10)  # gray images go to a network for color

import copy
import pickle
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from improved_gan.metrics import (
    FeatureMetric,
    FrechetDistance,
    InceptionScore,
    MetricError,
    density_coverage,
    feature_frechet_distance,
    inception_score,
)
from improved_gan.metrics.torchmetrics_adapter import as_torchmetric
from tests.metrics.test_streaming import REAL, SAMPLES
from tests.ranks import TwoRanks

# not by importing it: that takes a second in every process that collects the tests
pytestmark = pytest.mark.skipif(find_spec("torchmetrics") is None, reason="torchmetrics is not installed")


def collection() -> Any:
    from torchmetrics import MetricCollection

    return MetricCollection(
        {"fid": as_torchmetric(FrechetDistance(5)), "density": as_torchmetric(FeatureMetric(density_coverage))},
        compute_groups=False,
    )


def test_a_collection_updates_computes_and_resets() -> None:
    metrics = collection()
    for batch in SAMPLES.split(20):
        metrics.update(batch, real=False)
    metrics.update(REAL, real=True)
    expected = FrechetDistance(5)
    expected.update(SAMPLES, real=False)
    expected.update(REAL, real=True)
    found = metrics.compute()
    assert float(found["fid"]) == pytest.approx(expected.compute(), rel=1e-9)
    again = collection()
    again.load_state_dict(metrics.state_dict())
    assert again["fid"].streaming.compute() == float(found["fid"])
    metrics.reset()
    metrics.update(REAL, real=False)
    metrics.update(REAL, real=True)
    assert float(metrics.compute()["fid"]) == pytest.approx(0, abs=1e-9)


def test_the_score_is_the_plain_one() -> None:
    probabilities = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)).double().softmax(1)
    metric = as_torchmetric(InceptionScore(4, 30, splits=3))
    for batch in probabilities.split(7):
        metric.update(batch)
    assert float(metric.compute()["mean"]) == pytest.approx(inception_score(probabilities, 3).mean, rel=1e-12)
    metric.reset()
    metric.update(probabilities)
    assert float(metric.compute()["mean"]) == pytest.approx(inception_score(probabilities, 3).mean, rel=1e-12)


def test_a_batch_alone_is_refused_and_takes_no_images_away() -> None:
    """torchmetrics' own `forward` forgets the earlier images of a metric without torchmetrics' states."""
    metrics = collection()
    metrics.update(SAMPLES, real=False)
    metrics.update(REAL, real=True)
    expected = metrics.compute()
    with pytest.raises(MetricError, match="call update, and compute at the end"):
        metrics(SAMPLES, real=False)
    assert metrics.compute() == expected


def test_copies_pickles_and_merged_states() -> None:
    first, second = (as_torchmetric(FrechetDistance(5)) for _ in range(2))
    first.update(REAL, real=True)
    first.update(SAMPLES[:20], real=False)
    second.update(SAMPLES[20:], real=False)
    before = first.compute()
    for again in (copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        assert float(again.compute()) == float(before)
        assert again.training
        again.update(SAMPLES[20:], real=False)
    assert float(first.compute()) == float(before)
    evaluated = copy.deepcopy(first).eval()
    assert not copy.deepcopy(evaluated).training
    assert not pickle.loads(pickle.dumps(evaluated)).training
    with pytest.raises(MetricError, match="takes another adapter of such a metric; got dict"):
        first.merge_state(second.metric_state)
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(feature_frechet_distance(SAMPLES, REAL), rel=1e-9)


def test_a_tensor_is_logged_as_it_is() -> None:
    metric = as_torchmetric(FeatureMetric(lambda generated, real: (generated.mean(0) - real.mean(0)).norm()))
    metric.update(REAL, real=True)
    metric.update(SAMPLES, real=False)
    assert float(metric.compute()) == pytest.approx(float((SAMPLES.mean(0) - REAL.mean(0)).norm()))


def _on_a_rank() -> tuple[dict[str, Any], float]:
    metrics, rank = collection(), torch.distributed.get_rank()
    metrics.update(SAMPLES[rank::2], real=False)
    metrics.update(REAL[rank::2], real=True)
    own = metrics["fid"].streaming.state_dict()["real.count"]
    return {name: float(value) for name, value in metrics.compute().items()}, float(own)


def test_two_ranks_compute_the_total_and_keep_their_own(two_ranks: TwoRanks) -> None:
    metrics = collection()
    metrics.update(SAMPLES, real=False)
    metrics.update(REAL, real=True)
    expected = metrics.compute()
    for found, own in two_ranks(_on_a_rank):
        assert float(found["fid"]) == pytest.approx(float(expected["fid"]), rel=1e-9)
        assert found["coverage"] == pytest.approx(float(expected["coverage"]), rel=1e-9)
        assert own == 40

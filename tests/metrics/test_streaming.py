from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from improved_gan.metrics import (
    FeatureMetric,
    FrechetDistance,
    InceptionScore,
    MetricError,
    density_coverage,
    feature_frechet_distance,
    kernel_inception_distance,
    precision_recall,
)
from tests.oracles import metrics as oracle
from tests.ranks import TwoRanks

SAMPLES = torch.randn(61, 5, generator=torch.Generator().manual_seed(0))
REAL = torch.randn(80, 5, generator=torch.Generator().manual_seed(1)) + 0.5
KID = partial(kernel_inception_distance, subsets=2, subset_size=20)


def filled(metric: FrechetDistance | FeatureMetric, part: slice = slice(None)) -> None:
    for real, rows in ((True, REAL[part]), (False, SAMPLES[part])):
        for batch in rows.split(13):
            metric.update(batch, real=real)


def test_batches_give_the_distance_of_all_features() -> None:
    distance = FrechetDistance(5)
    filled(distance)
    assert distance.compute() == pytest.approx(feature_frechet_distance(SAMPLES, REAL), rel=1e-9)
    distance.reset(real=False)
    distance.update(REAL, real=False)
    assert distance.compute() == pytest.approx(0, abs=1e-9)
    distance.reset()
    with pytest.raises(MetricError, match="at least 2 images"):
        distance.compute()


def test_batches_give_the_function_of_all_features() -> None:
    metric = FeatureMetric(KID)
    filled(metric)
    assert metric.compute() == KID(SAMPLES, REAL)
    metric.reset(real=False)
    with pytest.raises(MetricError, match="needs real images and samples"):
        metric.compute()


@pytest.mark.parametrize("make", [lambda: FrechetDistance(5), lambda: FeatureMetric(density_coverage)])
def test_parts_merge_and_states_load(make) -> None:
    whole, first, second = make(), make(), make()
    filled(whole)
    filled(first, slice(0, 30))
    filled(second, slice(30, None))
    loaded = make()
    loaded.load_state_dict(first.state_dict())
    loaded.merge(second)
    assert loaded.compute() == pytest.approx(whole.compute(), rel=1e-9)
    loaded.load_state_dict(whole.state_dict())
    assert loaded.compute() == pytest.approx(whole.compute(), rel=1e-9)


def _on_a_rank() -> tuple[float, object]:
    distance, metric = FrechetDistance(5), FeatureMetric(density_coverage)
    part = slice(0, 25) if torch.distributed.get_rank() == 0 else slice(25, None)  # unequal parts
    filled(distance, part)
    filled(metric, part)
    distance.merge_ranks()
    metric.merge_ranks()
    return distance.compute(), metric.compute()


def test_two_ranks_merge(two_ranks: TwoRanks) -> None:
    for distance, density in two_ranks(_on_a_rank):
        assert distance == pytest.approx(feature_frechet_distance(SAMPLES, REAL), rel=1e-9)
        assert density == pytest.approx(density_coverage(SAMPLES, REAL), rel=1e-9)


def _with_an_empty_rank() -> object:
    metric = FeatureMetric(density_coverage)
    if torch.distributed.get_rank() == 1:
        filled(metric)
    metric.merge_ranks()
    return metric.compute()


def test_a_rank_may_have_no_images(two_ranks: TwoRanks) -> None:
    assert two_ranks(_with_an_empty_rank) == [density_coverage(SAMPLES, REAL)] * 2


FAR = np.random.default_rng(0).normal(size=(2, 50, 4)) + 1e8  # float64: float32 rounds them to multiples of 8


def test_float64_features_are_kept_merged_and_loaded_without_rounding() -> None:
    samples, real = torch.from_numpy(FAR)
    metric, loaded = FeatureMetric(precision_recall), FeatureMetric(precision_recall)
    metric.update(samples[:20], real=False)
    metric.update(real, real=True)
    other = FeatureMetric(precision_recall)
    other.update(samples[20:], real=False)
    metric.merge(other)
    assert tuple(metric.compute()) == pytest.approx(oracle.precision_recall(*FAR, 3))
    loaded.load_state_dict(metric.state_dict())
    assert loaded.state_dict()["generated"].equal(samples)
    assert loaded.compute() == metric.compute()


def test_a_state_has_the_dtype_of_its_features() -> None:
    metric = FeatureMetric(KID)
    assert {one.dtype for one in metric.state_dict().values()} == {torch.float32}
    metric.update(SAMPLES.half(), real=True)
    metric.update(SAMPLES.double(), real=False)
    state = metric.state_dict()
    assert (state["real"].dtype, state["generated"].dtype) == (torch.float32, torch.float64)
    metric.update(SAMPLES, real=False)
    assert metric.state_dict()["generated"].equal(torch.cat([SAMPLES, SAMPLES]).double())


def _with_float64_on_one_rank() -> tuple[object, list[torch.dtype]]:
    samples, real = torch.from_numpy(FAR)
    metric = FeatureMetric(precision_recall)
    if torch.distributed.get_rank() == 1:
        metric.update(samples, real=False)
        metric.update(real, real=True)
    else:
        metric.update(torch.full((1, 4), 1e8), real=True)  # float32
    metric.merge_ranks()
    return metric.compute(), [one.dtype for one in metric.state_dict().values()]


def test_ranks_with_float32_float64_and_no_features_merge(two_ranks: TwoRanks) -> None:
    expected = oracle.precision_recall(FAR[0], np.concatenate([np.full((1, 4), 1e8), FAR[1]]), 3)
    for found, dtypes in two_ranks(_with_float64_on_one_rank):
        assert tuple(found) == pytest.approx(expected)
        assert dtypes == [torch.float64, torch.float64]


def test_bad_batches() -> None:
    for metric in (FrechetDistance(5), FeatureMetric(KID)):
        metric.update(REAL, real=True)
        with pytest.raises(MetricError, match=r"5 features|with one A"):
            metric.update(SAMPLES[:, :3], real=False)
        with pytest.raises(MetricError, match="NaN"):
            metric.update(SAMPLES * torch.nan, real=False)
    with pytest.raises(MetricError, match=r"real.mean must be \(4,\); got \(5,\)"):
        FrechetDistance(4).load_state_dict(FrechetDistance(5).state_dict())
    for other in (FrechetDistance(5), FeatureMetric(KID), InceptionScore(3, 10)):
        with pytest.raises(MetricError, match=r"a state of this metric holds .*; got mean"):
            other.load_state_dict({"mean": REAL})


def test_features_that_do_not_fit_are_refused_by_whatever_way_they_come() -> None:
    metric, narrow = FeatureMetric(KID), FeatureMetric(KID)
    filled(metric)
    narrow.update(SAMPLES[:, :3], real=False)
    expected = metric.compute()
    with pytest.raises(MetricError, match="with one A"):
        metric.merge(narrow)
    with pytest.raises(MetricError, match="with one A"):
        metric.load_state_dict({"real": REAL, "generated": SAMPLES[:, :3]})
    with pytest.raises(MetricError, match="NaN"):
        metric.load_state_dict({"real": REAL * torch.nan, "generated": SAMPLES})
    with pytest.raises(MetricError, match="infinity"):
        metric.update(torch.full((2, 5), 1e80, dtype=torch.float64), real=True)
    assert metric.compute() == expected


def test_a_state_is_kept_while_the_metric_goes_on() -> None:
    score = InceptionScore(3, 9, splits=2)
    score.update(torch.randn(9, 3, generator=torch.Generator().manual_seed(0)).double().softmax(1))
    distance, metric = FrechetDistance(5), FeatureMetric(density_coverage)
    filled(distance)
    filled(metric)
    for one in (score, distance, metric):
        expected, state = one.compute(), one.state_dict()
        one.reset()
        one.load_state_dict(state)
        assert one.compute() == expected


def test_a_state_is_loaded_without_a_copy_of_the_features_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    metric, other = FeatureMetric(KID), FeatureMetric(KID)
    filled(metric)
    state, expected = metric.state_dict(), metric.compute()
    monkeypatch.setattr(FeatureMetric, "state_dict", lambda self: pytest.fail("copied"))
    other.load_state_dict(state)
    assert other.compute() == expected


class WithoutFloat64(torch.Tensor):
    """Features on a device that has no float64, as Apple's."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.double:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        result = super().__torch_function__(func, types, args, kwargs or {})
        return result.as_subclass(torch.Tensor) if func is torch.Tensor.cpu else result


def test_features_on_a_device_without_float64() -> None:
    probabilities = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).double().softmax(1).float()
    scores = InceptionScore(3, 20, splits=2), InceptionScore(3, 20, splits=2)
    distances = FrechetDistance(5), FrechetDistance(5)
    metrics = FeatureMetric(density_coverage), FeatureMetric(density_coverage)
    for move, score, distance, metric in zip((torch.Tensor, WithoutFloat64), scores, distances, metrics, strict=True):
        score.update(probabilities.as_subclass(move))
        for one in (distance, metric):
            one.update(REAL.as_subclass(move), real=True)
            one.update(SAMPLES.as_subclass(move), real=False)
    for here, there in (scores, distances, metrics):
        assert here.compute() == there.compute()


def test_a_batch_may_be_empty() -> None:
    for metric in (FrechetDistance(5), FeatureMetric(KID)):
        filled(metric)
        expected = metric.compute()
        metric.update(SAMPLES[:0], real=False)
        assert metric.compute() == expected

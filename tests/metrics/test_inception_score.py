import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from improved_gan.metrics import InceptionScore, MetricError, inception_score
from tests.oracles import metrics as oracle
from tests.ranks import TwoRanks


def probabilities(num: int = 203, classes: int = 7, *, seed: int = 0, sharp: float = 3.0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    p = (sharp * torch.randn(num, classes, generator=source, dtype=torch.float64)).softmax(1)
    p[::5] = torch.eye(classes, dtype=torch.float64)[torch.arange(len(p[::5])) % classes]  # exact zeros
    return p


@pytest.mark.parametrize("splits", [1, 3, 10, 203])
def test_it_is_the_formula(splits: int) -> None:
    p = probabilities()
    mean, std = inception_score(p, splits)
    expected = oracle.inception_score(p.numpy(), splits)
    assert (mean, std) == pytest.approx(expected, rel=1e-13, abs=1e-13)


def test_closed_forms() -> None:
    assert inception_score(torch.eye(10).repeat(30, 1), 10) == (pytest.approx(10), pytest.approx(0, abs=1e-12))
    assert inception_score(torch.full((50, 8), 1 / 8), 5) == (pytest.approx(1), pytest.approx(0, abs=1e-12))
    by_class = torch.eye(10).repeat_interleave(30, 0)
    assert inception_score(by_class, 10).mean == pytest.approx(1)  # sorted by class: every split is one class
    half = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).repeat(4, 1)
    information = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) - 0.5 * np.log(2)
    assert inception_score(half, 1).mean == pytest.approx(np.exp(information))


def test_float32_and_half_precision_are_taken_up_to_float64() -> None:
    p = probabilities()
    assert inception_score(p.float()).mean == pytest.approx(inception_score(p).mean, rel=1e-6)
    assert inception_score(p.bfloat16()).mean == pytest.approx(inception_score(p).mean, rel=2e-2)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.rand(5), r"must be \(N, K\)"),
        (torch.full((20, 3), torch.nan), "20 of 20 rows hold NaN"),
        (torch.randn(20, 3), "sum to 1"),
        (torch.eye(3).repeat(3, 1), "10 splits need at least 10 images; got 9"),
        (torch.zeros(0, 3), "got 0"),
    ],
)
def test_bad_input(bad: Tensor, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        inception_score(bad)


def streamed(p: Tensor, *sizes: int, splits: int = 10) -> InceptionScore:
    score = InceptionScore(p.shape[1], len(p), splits=splits, replicates=20)
    for part in p.split(list(sizes)):
        score.update(part)
    return score


@settings(max_examples=30)
@given(st.integers(10, 60), st.integers(1, 10), st.integers(1, 30))
def test_the_stream_equals_the_batch_form_for_any_batches(num: int, splits: int, batch: int) -> None:
    p = probabilities(num, seed=num)
    sizes = [batch] * (num // batch) + ([num % batch] if num % batch else [])
    report, whole = streamed(p, *sizes, splits=splits).compute(), inception_score(p, splits)
    assert report.mean == pytest.approx(whole.mean, rel=1e-12)
    assert report.std == pytest.approx(whole.std, rel=1e-12, abs=1e-12)


def test_merging_equals_one_pass_and_the_interval_too() -> None:
    p = probabilities()
    whole = streamed(p, 203).compute()
    parts = []
    for places in torch.randperm(203).split(50):  # any order, any parts
        part = InceptionScore(7, 203, replicates=20)
        part.update(p[places], places)
        parts.append(part)
    first, *others = parts
    for other in others:
        first.merge(other)
    merged = first.compute()
    assert merged.mean == pytest.approx(whole.mean, rel=1e-12)
    assert merged.interval == pytest.approx(whole.interval, rel=1e-12)
    assert merged.extrapolated == pytest.approx(whole.extrapolated, rel=1e-12)
    assert merged.missing_classes == whole.missing_classes


def test_the_state_has_one_size_and_survives_a_file() -> None:
    score = streamed(probabilities(), 100, 103)
    sizes = {name: value.numel() for name, value in score.state_dict().items()}
    large = InceptionScore(7, 10**6, replicates=20)
    assert sizes == {name: value.numel() for name, value in large.state_dict().items()}
    again = InceptionScore(7, 203, replicates=20)
    again.load_state_dict({name: value.clone() for name, value in score.state_dict().items()})
    assert again.compute() == score.compute()
    with pytest.raises(MetricError, match="other settings"):
        InceptionScore(8, 203, replicates=20).load_state_dict(score.state_dict())


@pytest.mark.parametrize("wrong", [{"num_classes": 0}, {"replicates": -1}])
def test_settings_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(MetricError, match="num_classes must be at least 1"):
        InceptionScore(**{"num_classes": 3, "num_images": 10} | wrong)


def test_wrong_updates_are_told() -> None:
    score = InceptionScore(3, 10, splits=2)
    with pytest.raises(MetricError, match="must have 3 classes; got 4"):
        score.update(torch.eye(4))
    with pytest.raises(MetricError, match=r"positions must lie in 0\.\.9; got 8\.\.10"):
        score.update(torch.eye(3), torch.tensor([8, 9, 10]))
    with pytest.raises(MetricError, match="one an image"):
        score.update(torch.eye(3), torch.tensor([8, 9]))
    score.update(torch.eye(3))
    with pytest.raises(MetricError, match="must be given once"):
        score.compute()
    with pytest.raises(MetricError, match="same settings"):
        score.merge(InceptionScore(3, 10, splits=1))


def _on_a_rank(p: Tensor) -> float:
    from improved_gan.distributed import rank, world_size

    score = InceptionScore(p.shape[1], len(p), replicates=5)
    places = torch.arange(len(p))[rank() :: world_size()]
    score.update(p[places], places)
    score.merge_ranks()
    return score.compute().mean


def test_ranks_merge(two_ranks: TwoRanks) -> None:
    p = probabilities()
    results = two_ranks(_on_a_rank, p)
    assert results[0] == results[1] == pytest.approx(inception_score(p).mean, rel=1e-12)


def test_a_position_twice_is_an_error_and_not_a_score() -> None:
    p = torch.eye(2, dtype=torch.float64).repeat(3, 1)
    score = InceptionScore(2, 6, splits=2)
    with pytest.raises(MetricError, match="the same position was given twice"):
        score.update(p[:2], torch.tensor([1, 1]))
    for positions in ([0, 1], [1, 3], [4, 5]):  # 1 twice and 2 not at all, in one split
        score.update(p[:2], torch.tensor(positions))
    with pytest.raises(MetricError, match="some of the 6 positions were given twice, and others not at all"):
        score.compute()
    score.reset()
    score.update(p)
    assert score.compute().pooled == pytest.approx(2)

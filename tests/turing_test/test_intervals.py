import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_1samp

from improved_gan.turing_test import intervals
from improved_gan.turing_test.intervals import Estimate, cluster_bootstrap, wilson, with_fallback
from improved_gan.turing_test.simulation import Population, coverage


def share(sums):
    return sums[..., 0] / sums[..., 1]


def test_wilson_by_hand() -> None:
    z, p, n = 1.959963985, 0.524, 2000
    center, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson(1048, 2000) == pytest.approx(((center - half) / (1 + z**2 / n), (center + half) / (1 + z**2 / n)))
    assert np.isnan(wilson(0, 0)).all()


def test_many_judges_agree_with_scipys_bootstrap_of_their_means() -> None:
    right = np.random.default_rng(1).binomial(50, 0.7, size=300)
    ours = cluster_bootstrap(np.stack([right, np.full(300, 50)], 1), share, resamples=20_000)
    theirs = bootstrap((right / 50,), np.mean, method="percentile", n_resamples=20_000, rng=2).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=5e-4)


def test_votes_of_one_judge_are_no_independent_votes() -> None:
    """Ten judges, each always right or always wrong: the interval is that of 10, not of 1,000 votes."""
    counts = np.array([[100, 100]] * 6 + [[0, 100]] * 4)
    found = cluster_bootstrap(counts, share)
    assert found.high - found.low > 0.5
    low, high = wilson(600, 1000)
    assert high - low < 0.07


def test_one_judge_has_no_interval_and_none_has_no_value() -> None:
    one = cluster_bootstrap(np.array([[3, 4]]), share)
    assert one.value == 0.75
    assert np.isnan(one.low)
    assert not one.contains(0.75)
    assert np.isnan(cluster_bootstrap(np.zeros((0, 2)), share).value)
    with np.errstate(invalid="ignore"):
        assert np.isnan(cluster_bootstrap(np.zeros((3, 2)), share).value)


def test_the_same_seed_gives_the_same_interval_and_a_level_is_wider() -> None:
    counts = np.random.default_rng(0).integers(3, 10, (20, 1)) * [1, 0] + [0, 12]
    assert cluster_bootstrap(counts, share) == cluster_bootstrap(counts, share)
    wide, narrow = (cluster_bootstrap(counts, share, level=level) for level in (0.99, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert Estimate(0.5, 0.4, 0.6).contains(0.45)


@pytest.mark.parametrize("right", [(30, 35), (30, 35, 28), (30, 35, 28, 25, 33)])
def test_fewer_than_six_judges_have_the_interval_of_a_t_test(right: tuple[int, ...]) -> None:
    """Resamples of two judges lie between the two, and the truth lies there half of the time."""
    found = cluster_bootstrap(np.array([[one, 50] for one in right]), share, resamples=40_000)
    theirs = ttest_1samp(np.array(right) / 50, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.015)
    bounded = cluster_bootstrap(np.array([[one, 50] for one in right]), share, bounds=(0.55, 0.65))
    assert (bounded.low, bounded.high) == (0.55, 0.65)


def test_intervals_of_three_judges_hold_the_truth() -> None:
    held = coverage(Population({"a": 0.7}), judges=3, trials=40, studies=100)
    assert min(held.values()) >= 0.9  # 75% is the most that resamples alone can reach


def test_wilson_stands_in_where_judges_agree_and_half_a_success_is_rounded_to_both_sides() -> None:
    assert with_fallback(Estimate(0.5, 0.4, 0.6), [(5, 10)]) == Estimate(0.5, 0.4, 0.6)
    found = with_fallback(Estimate(0.75, 0.75, 0.75), [(7.5, 10)])
    assert (found.low, found.high) == (wilson(7, 10)[0], wilson(8, 10)[1])


def test_resamples_of_many_judges_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand judges of another tool's table would need 160 MB for each size of a group."""
    counts = np.random.default_rng(0).random((40, 3))
    whole = intervals.resampled(counts, resamples=100)
    monkeypatch.setattr(intervals, "_MOST_KEPT", 10)
    monkeypatch.setattr(intervals, "_MOST_WEIGHTS", 7 * 40)
    np.testing.assert_allclose(intervals.resampled(counts, resamples=100), whole)

import numpy as np
import pytest
from scipy.stats import bootstrap

from improved_gan.turing_test.intervals import Estimate, cluster_bootstrap, wilson


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

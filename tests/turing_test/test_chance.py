from math import comb

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from improved_gan.turing_test.chance import above_chance, design_effect, judges_needed, power
from improved_gan.turing_test.errors import TuringTestError


def test_the_papers_mnist_votes_by_the_binomial_sum() -> None:
    exact = sum(comb(2000, k) for k in range(1048, 2001)) / 2**2000
    assert above_chance(1048, 2000) == pytest.approx(exact, rel=1e-9)
    assert above_chance(1048, 2000) < 0.05 < above_chance(1048, 2000, effect=design_effect(50, 0.02))


def test_a_large_effect_needs_more_votes_and_cifar_is_far_above_chance() -> None:
    assert design_effect(1, 0.5) == 1
    assert above_chance(787, 1000) < 1e-50
    assert above_chance(550, 1000, effect=1.0001) == pytest.approx(above_chance(550, 1000), rel=0.02)


def draw(generator, accuracy, spread, judges, trials):
    p = np.clip(generator.normal(accuracy, spread, judges), 0, 1)
    return generator.binomial(trials, p) / trials


@pytest.mark.parametrize("comparison", ["chance", "within", "between"])
def test_power_is_what_simulated_studies_reach(comparison: str) -> None:
    generator, trials, spread, found = np.random.default_rng(3), 50, 0.05, 0
    judges = judges_needed(trials, comparison=comparison)
    for _ in range(1500):
        if comparison == "chance":
            p = ttest_1samp(draw(generator, 0.55, spread, judges, trials), 0.5).pvalue
        elif comparison == "within":
            truth = generator.normal(0.05, spread, judges)
            one = generator.binomial(trials, np.clip(0.5 + truth, 0, 1)) / trials
            p = ttest_1samp(one - generator.binomial(trials, 0.5, judges) / trials, 0).pvalue
        else:
            groups = [draw(generator, accuracy, spread, judges // 2, trials) for accuracy in (0.55, 0.5)]
            p = ttest_ind(*groups).pvalue
        found += p < 0.05
    expected = power(judges, trials, comparison=comparison)
    assert 0.8 <= expected < 0.84
    assert found / 1500 == pytest.approx(expected, abs=0.035)


def test_judges_needed_is_the_smallest() -> None:
    needed = judges_needed(30, difference=0.08)
    assert power(needed, 30, difference=0.08) >= 0.8 > power(needed - 1, 30, difference=0.08)
    assert judges_needed(10_000, difference=0.5, base=0.5, judge_std=0) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: above_chance(3, 2),
        lambda: above_chance(1, 2, effect=0.5),
        lambda: power(10, 10, base=0.97),
        lambda: power(1, 10),
        lambda: judges_needed(1, difference=0.0001),
    ],
)
def test_what_cannot_be_is_refused(call) -> None:
    with pytest.raises(TuringTestError):
        call()

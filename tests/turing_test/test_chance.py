import math
from math import comb

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from improved_gan.turing_test.chance import (
    above_chance,
    chance_by_judge,
    counting_accuracy,
    design_effect,
    judges_needed,
    power,
)
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.votes import votes_from_rows


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


def by_recursion(signals: int, noises: int) -> float:
    """The same, trial by trial: the better guess, then one card less of what came."""
    table = np.zeros((signals + 1, noises + 1))
    for a in range(signals + 1):
        for b in range(noises + 1):
            if a + b == 0:
                continue
            gain = max(a / signals, b / noises) / (a + b) / 2
            after = (a * table[a - 1, b] if a else 0) + (b * table[a, b - 1] if b else 0)
            table[a, b] = gain + after / (a + b)
    return float(table[signals, noises])


@pytest.mark.parametrize(("signals", "noises"), [(1, 1), (25, 25), (3, 12), (40, 10)])
def test_the_sum_is_the_recursion(signals: int, noises: int) -> None:
    assert counting_accuracy(signals, noises) == pytest.approx(by_recursion(signals, noises), abs=1e-9)


def test_of_many_trials_counting_gains_little() -> None:
    assert 0.5 < counting_accuracy(1000, 1000) < 0.52 < counting_accuracy(5, 5)
    assert math.isfinite(counting_accuracy(1, 1999))


def judged(signals: list[int], length: int, **more: object):
    rows = [
        {"judge": judge, "arm": "feedback", "trial": k, "signal": int(k < count), "response": 0, **more}
        for judge, count in enumerate(signals)
        for k in range(length)
    ]
    return votes_from_rows(rows)


@pytest.mark.parametrize(
    ("signals", "more", "fixed"),
    [
        ([25, 25, 25], {}, True),
        ([25, 24, 25], {}, True),  # a share that is no whole number, rounded at random
        ([40, 40], {}, True),  # another prevalence
        ([25], {}, True),
        ([31], {}, False),
        ([25, 31, 22], {}, False),
        ([25, 25, 25], {"prevalence": 0.5}, False),
        ([25, 25, 25], {"arm": "no_feedback"}, False),
        ([50, 50], {}, False),
    ],
)
def test_fixed_numbers_are_found_in_the_table(signals: list[int], more: dict[str, object], fixed: bool) -> None:
    chance = chance_by_judge(judged(signals, 50, **more))
    assert set(chance) == set(range(len(signals)))
    assert all((one > 0.55) == fixed and (fixed or one == 0.5) for one in chance.values())


def test_a_judge_who_left_early_does_not_hide_fixed_numbers() -> None:
    votes = judged([25, 25, 25], 50)
    assert chance_by_judge(votes.where((votes.judge > 0) | (votes.trial < 9)))[0] > 0.55
    assert chance_by_judge(votes.where(votes.judge > 5)) == {}

import math

import numpy as np
import pytest

from improved_gan.turing_test.counting import chance_by_judge, counting_accuracy
from improved_gan.turing_test.votes import votes_from_rows


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

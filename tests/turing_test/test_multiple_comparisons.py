"""Referees: SciPy's t and normal distributions, Sidak's inequality for independent statistics."""

import numpy as np
import pytest
from scipy.stats import t

from improved_gan.turing_test.multiple_comparisons import signs


def told(errors: list[float], num_judges: list[int], floor: float = 1e-12) -> list[int]:
    """Signs of independent statistics with resampled standard error 1 (after its correction for J judges)."""
    size, judges = len(errors), np.array(num_judges)
    drawn = np.linalg.qr(np.random.default_rng(0).normal(size=(2000, size + 1)) + 0.5)[0][:, 1:]
    drawn = (drawn - drawn.mean(0)) / drawn.std(0, ddof=1) / np.sqrt(judges / (judges - 1))
    mixed = np.ones((judges.max(), size, 3))
    return signs(np.array(errors), drawn, floor * np.eye(size), mixed, judges).tolist()


@pytest.mark.parametrize("num_judges", [2, 5, 30])
def test_one_statistic_is_a_t_test(num_judges: int) -> None:
    point = t.ppf(0.975, num_judges - 1)
    assert told([point * 0.9], [num_judges]) == [0]
    assert told([-point * 1.1], [num_judges]) == [-1]
    assert told([point * 1.1], [num_judges], floor=1.5) == [0]  # 1.1 / sqrt(1.5) < 0.9


def test_statistics_of_few_judges_need_the_error_that_their_own_freedom_does() -> None:
    """Six independent statistics: Sidak's level is 0.0085 each; the same level of 3 and of 100 judges."""
    each = 1 - 0.95 ** (1 / 6)
    points = [float(t.ppf(1 - each / 2, judges - 1)) for judges in (3, 100)]
    assert told([points[0] * 1.2, 0, 0, 0, 0, points[1] * 1.1], [3, 3, 3, 100, 100, 100]) == [1, 0, 0, 0, 0, 1]
    assert told([points[0] * 0.6, 0, 0, 0, 0, points[1] * 0.9], [3, 3, 3, 100, 100, 100]) == [0] * 6


def test_of_one_judge_nothing_is_said() -> None:
    drawn = np.random.default_rng(0).normal(size=(100, 1)) * 1e-3
    assert signs(np.ones(1), drawn, np.zeros((1, 1)), np.full((1, 1, 3), [20.0, 0, 0]), np.array([1])).tolist() == [0]


@pytest.mark.parametrize(("answers", "expected"), [([3, 3], 1), ([1, 9], 0), ([1] * 5, 0), ([1] * 6, 1)])
def test_the_same_answer_always_is_a_sign_test(answers: list[int], expected: int) -> None:
    """2^(1-n) <= 0.05 from n = 6 answers on; a judge counts as often as the one with the fewest answers."""
    counts = np.array([[[one, 0.0, 0.0]] for one in answers])
    wide = np.full((1, 1), 1e6)
    assert signs(np.ones(1), np.ones((10, 1)), wide, counts, np.array([len(answers)])).tolist() == [expected]

from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from improved_gan.turing_test.signal_detection import accuracy_of_rates, bias, rate, roc_area, sensitivity

Z = NormalDist().inv_cdf


def test_against_the_formulas_with_another_normal_distribution() -> None:
    hit, false_alarm = 70.5 / 101, 20.5 / 81
    assert float(sensitivity(70, 100, 20, 80)) == pytest.approx(Z(hit) - Z(false_alarm))
    assert float(sensitivity(70, 100, 20, 80, pairs=True)) == pytest.approx((Z(hit) - Z(false_alarm)) / 2**0.5)
    assert float(bias(70, 100, 20, 80)) == pytest.approx(-(Z(hit) + Z(false_alarm)) / 2)


def test_extreme_rates_are_finite_and_absent_trials_are_not_a_number() -> None:
    assert np.isfinite(sensitivity(10, 10, 0, 10))
    assert np.isnan(sensitivity(0, 0, 0, 10))
    assert np.isnan(rate([1, 0], [2, 0])).tolist() == [False, True]


def test_accuracy_does_not_move_with_prevalence() -> None:
    assert float(accuracy_of_rates(80, 100, 30, 100)) == pytest.approx(float(accuracy_of_rates(8, 10, 270, 900)))
    assert float(accuracy_of_rates(80, 100, 30, 100)) == pytest.approx((80 + 70) / 200)


def test_roc_area_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    noise, signal = generator.integers(1, 7, 200), generator.integers(2, 7, 150)
    expected = roc_auc_score([0] * 200 + [1] * 150, np.concatenate([noise, signal]))
    counts = [np.bincount(one - 1, minlength=6) for one in (noise, signal)]
    assert float(roc_area(*counts)) == pytest.approx(expected)
    assert np.isnan(roc_area([0, 0], [1, 2]))

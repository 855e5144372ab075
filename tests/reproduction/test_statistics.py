import math

import numpy as np
import pytest
from scipy import stats

from improved_gan.reproduction import Figure
from improved_gan.reproduction.statistics import figure, welch


def test_mean_and_sample_standard_deviation() -> None:
    values = [93.0, 88.0, 101.0, 97.0]
    one = figure(values)
    assert one == Figure(np.mean(values), pytest.approx(np.std(values, ddof=1)), 4)
    assert figure([]) is None
    assert math.isnan(figure([5.0]).std)


def test_welch_agrees_with_scipy() -> None:
    ours = [93.0, 88.0, 101.0, 97.0, 90.0]
    referee = stats.ttest_ind_from_stats(np.mean(ours), np.std(ours, ddof=1), 5, 86, 5.6, 10, equal_var=False)
    difference = welch(figure(ours), Figure(86, 5.6))
    assert difference.z == pytest.approx(referee.statistic)
    assert difference.p_value == pytest.approx(referee.pvalue)


@pytest.mark.parametrize("ours", [Figure(93, math.nan, 1), Figure(93, 0.0, 10)])
def test_no_standard_deviation_no_statistic(ours: Figure) -> None:
    assert welch(ours, Figure(86, 0.0)) is None

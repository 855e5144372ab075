import numpy as np
import pytest

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.staircase import LEVELS_MS, Staircase, threshold_ms


def test_levels_run_from_a_tenth_of_a_second_to_five() -> None:
    assert (LEVELS_MS[0], LEVELS_MS[-1]) == (100, 5000)
    assert np.ptp(np.diff(np.log(LEVELS_MS))) < 0.02


def test_it_stays_within_the_levels() -> None:
    down, up = Staircase(), Staircase()
    for _ in range(60):
        down, up = down.after(True), up.after(False)
    assert (down.exposure_ms, up.exposure_ms) == (100, 5000)


def test_it_settles_where_seven_of_ten_are_right() -> None:
    """A judge whose accuracy rises with log exposure and is 70.7% at 600 ms."""
    generator, found = np.random.default_rng(0), []
    for _ in range(150):
        staircase, shown = Staircase(), []
        for _ in range(80):
            shown.append(staircase.exposure_ms)
            p = 0.5 + 0.5 / (1 + np.exp(-2 * (np.log(staircase.exposure_ms / 600)) - np.log(0.414 / 0.586)))
            staircase = staircase.after(bool(generator.random() < p))
        found.append(threshold_ms(shown))
    assert np.exp(np.nanmean(np.log(found))) == pytest.approx(600, rel=0.15)


def test_it_can_be_stored() -> None:
    staircase = Staircase().after(True).after(False)
    assert Staircase.from_dict(staircase.to_dict()) == staircase
    with pytest.raises(TuringTestError):
        Staircase.from_dict({"lvl": 1})


def test_too_few_reversals_give_no_threshold() -> None:
    assert np.isnan(threshold_ms([1000, 500, 1000]))
    assert np.isnan(threshold_ms([]))

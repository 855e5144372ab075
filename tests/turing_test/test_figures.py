import numpy as np
import pytest

from improved_gan.turing_test import figures
from improved_gan.turing_test.simulation import Population, simulate
from improved_gan.turing_test.votes import votes_from_rows

PEOPLE = Population({"cifar": 0.787, "mnist": 0.56}, feedback_gain=1.0)
VOTES = simulate(PEOPLE, judges=60, trials=100, seed=4)


def test_counts_of_a_model_by_plain_loops() -> None:
    found = figures.model_figures(VOTES, "cifar")
    rows = list(zip(VOTES.model, VOTES.signal, VOTES.response, strict=True))
    assert found.hits == sum(m == "cifar" and r for m, s, r in rows)
    assert found.false_alarms == sum(m == "real" and r for m, s, r in rows)
    assert (found.signals, found.noises) == (1500, 3000)
    assert found.accuracy.value == pytest.approx((found.hits / 1500 + 1 - found.false_alarms / 3000) / 2)
    assert found.roc_area is None


def test_the_difference_of_models_is_paired() -> None:
    ((names, found),) = figures.differences(VOTES).items()
    assert names == ("cifar", "mnist")
    separate = [figures.model_figures(VOTES, name).accuracy for name in names]
    assert found.value == pytest.approx(separate[0].value - separate[1].value)
    assert found.contains(0.787 - 0.56)
    assert found.high - found.low < sum(one.high - one.low for one in separate)


def test_feedback_teaches_and_only_its_arm() -> None:
    learning = {arm: figures.by_position(VOTES.where(VOTES.arm == arm)) for arm in ("feedback", "no_feedback")}
    gain = {arm: blocks[-1].value - blocks[0].value for arm, blocks in learning.items()}
    assert gain["feedback"] > 0.08 > abs(gain["no_feedback"])
    assert [len(blocks) for blocks in learning.values()] == [5, 5]


def test_guessing_is_not_above_chance_and_the_p_value_is_uniform() -> None:
    people = Population({"g": 0.5}, skill_spread=0.5)
    found = [figures.p_above_chance(simulate(people, judges=20, trials=20, seed=seed)) for seed in range(400)]
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.085
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)
    assert figures.p_above_chance(VOTES) < 1e-6


def test_all_right_has_an_interval_all_the_same() -> None:
    rows = [{"judge": j, "signal": s, "response": s, "picture": s} for j in range(4) for s in (0, 1) for _ in range(5)]
    found = figures.accuracy(votes_from_rows(rows))
    assert (found.value, found.high) == (1, 1)
    assert 0.7 < found.low < 0.9
    assert figures.p_above_chance(votes_from_rows(rows)) == 0


def test_pictures_count_both_of_a_pair() -> None:
    pair = {"design": "two_alternative", "model": "g", "picture": 7, "partner": 3, "signal": 1}
    rows = [{"judge": j, "response": int(j == 0), **pair} for j in range(4)]
    found = {(one.picture, one.model): (one.votes, one.wrong) for one in figures.picture_figures(votes_from_rows(rows))}
    assert found == {(7, "g"): (4, 3), (3, "real"): (4, 3)}


def test_ratings_have_a_roc_area() -> None:
    generator = np.random.default_rng(0)
    rows = [
        {"judge": j, "design": "rating", "signal": s, "response": int(level <= 3), "rating": level,
         "model": "g" if s else "real"}
        for j in range(10) for s in (0, 1) for level in generator.integers(1 + 2 * (1 - s), 5 + 2 * (1 - s), 20)
    ]  # fmt: skip
    area = figures.model_figures(votes_from_rows(rows), "g").roc_area
    assert area is not None
    # Levels 1-4 against 3-6: real is higher unless (3, 4) against (3, 4); P = 1 - 1/4 * (1/2 tie-corrected)
    assert area.contains(1 - (1 / 16 + 0.5 * 2 / 16))


def test_times_and_exposures() -> None:
    rows = [{"trial": k, "judge": 0,
             "signal": k % 2, "response": 1, "design": "timed", "exposure_ms": 100 + 100 * (k % 3),
             "response_ms": 500 + k, "model": "g" if k % 2 else "real"} for k in range(30)]  # fmt: skip
    votes = votes_from_rows(rows)
    assert list(figures.by_exposure(votes)) == [100, 200, 300]
    assert figures.response_times(votes)["real"][1] == 514
    assert len(figures.thresholds(votes)) == 1

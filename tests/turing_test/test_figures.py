import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from improved_gan.turing_test import figures
from improved_gan.turing_test.chance import chance_by_judge
from improved_gan.turing_test.simulation import Population, simulate
from improved_gan.turing_test.votes import votes_from_rows

PEOPLE = Population({"cifar": 0.787, "mnist": 0.56}, feedback_gain=1.0)
VOTES = simulate(PEOPLE, judges=60, trials=100, seed=5)


def test_counts_of_a_model_by_plain_loops() -> None:
    found = figures.model_figures(VOTES, "cifar")
    rows = list(zip(VOTES.model, VOTES.signal, VOTES.response, strict=True))
    assert found.hits == sum(m == "cifar" and r for m, s, r in rows)
    assert found.false_alarms == sum(m == "real" and r for m, s, r in rows)
    assert (found.signals, found.noises) == (
        sum(m == "cifar" for m, _, _ in rows),
        sum(m == "real" for m, _, _ in rows),
    )
    accuracy = (found.hits / found.signals + 1 - found.false_alarms / found.noises) / 2
    assert found.accuracy.value == pytest.approx(accuracy)
    assert found.roc_area is None


def test_the_difference_of_models_is_paired() -> None:
    ((names, found),) = figures.differences(VOTES).items()
    assert names == ("cifar", "mnist")
    separate = [figures.model_figures(VOTES, name).accuracy for name in names]
    assert found.value == pytest.approx(separate[0].value - separate[1].value)
    truth = [PEOPLE.true_accuracy(name, judges=60, trials=100) for name in names]
    assert found.contains(truth[0] - truth[1])
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


def counting(judges: int, trials: int, seed: int, *, fixed: bool):
    """Votes of judges in the feedback arm who look at nothing and say the kind that they were told of less often."""
    generator, rows = np.random.default_rng(seed), []
    for judge in range(judges):
        signals = generator.random(trials) < 0.5
        if fixed:
            signals = generator.permutation(np.arange(trials) % 2 == 0)
        ahead = 0
        for trial, signal in enumerate(signals.tolist()):
            said = bool(generator.random() < 0.5) if ahead == 0 else ahead < 0
            rows.append({"judge": judge, "arm": "feedback", "trial": trial, "signal": int(signal),
                         "response": int(said), "prevalence": None if fixed else 0.5})  # fmt: skip
            ahead += 1 if signal else -1
    return votes_from_rows(rows)


@pytest.mark.parametrize("fixed", [False, True])
def test_judges_who_only_count_are_not_above_chance(fixed: bool) -> None:
    """With the chance level of the design the p-value is uniform; against 50% it finds counting in fixed numbers."""
    tables = [counting(4, 30, seed, fixed=fixed) for seed in range(200)]
    found = [figures.p_above_chance(one, chance=chance_by_judge(one)[0]) for one in tables]
    assert np.mean(found) == pytest.approx(0.5, abs=0.09)
    assert np.mean(np.array(found) < 0.05) < 0.1
    if fixed:
        assert np.mean([figures.p_above_chance(one) < 0.05 for one in tables]) > 0.4


def test_all_right_has_an_interval_all_the_same() -> None:
    rows = [{"judge": j, "signal": s, "response": s, "picture": s} for j in range(4) for s in (0, 1) for _ in range(5)]
    found = figures.accuracy(votes_from_rows(rows))
    assert (found.value, found.high) == (1, 1)
    assert 0.7 < found.low < 0.9
    assert figures.p_above_chance(votes_from_rows(rows)) == pytest.approx(0.5**40)


def all_right(judges: int, *, signals: int, noises: int, **more: object):
    truth = [1] * signals + [0] * noises
    return votes_from_rows(
        {"judge": j, "signal": s, "response": s, "model": "g" if s else "real", **more}
        for j in range(judges)
        for s in truth
    )


def test_without_a_spread_of_judges_the_p_value_is_the_exact_binomial() -> None:
    assert figures.p_above_chance(all_right(2, signals=1, noises=1)) == pytest.approx(0.0625)
    unequal = figures.p_above_chance(all_right(2, signals=4, noises=1))  # worth 6 of the 10 votes
    assert unequal == pytest.approx(0.5**6)
    always = votes_from_rows({"judge": j, "signal": int(k < 4), "response": 1} for j in range(2) for k in range(5))
    assert figures.p_above_chance(always) > 0.5
    opposed = votes_from_rows({"judge": j, "signal": k % 2, "response": j} for j in range(2) for k in range(6))
    assert figures.p_above_chance(opposed) > 0.5


def test_without_a_spread_of_judges_there_is_no_interval_without_width() -> None:
    votes = all_right(4, signals=50, noises=50, rating=np.nan)
    found = figures.model_figures(votes, "g")
    assert found.sensitivity.value > 5
    assert found.accuracy.low < found.accuracy.high == 1
    rated = votes_from_rows(
        {"judge": j, "signal": s, "response": s, "rating": 1 if s else 6, "model": "g" if s else "real"}
        for j in range(4) for s in (0, 1, 1, 0)
    )  # fmt: skip
    area = figures.model_figures(rated, "g").roc_area
    assert area is not None
    apart = figures.difference(votes, rated)
    for one in (found.sensitivity, found.bias, area, apart):
        assert np.isnan([one.low, one.high]).all()
    uneven = votes_from_rows({"judge": j, "signal": s, "response": s} for j in range(4) for s in [0, 1] * (j + 2))
    assert np.isnan(figures.model_figures(uneven, "generated").sensitivity.low)
    pairs = all_right(4, signals=5, noises=0)
    assert figures.accuracy(pairs).low < 1


def test_a_judge_who_left_early_counts_in_the_first_blocks_only() -> None:
    rows = [{"judge": j, "trial": 4 + k, "signal": k % 2, "response": (k % 2) if k < 10 else 1 - k % 2}
            for j, length in ((0, 20), (1, 10)) for k in range(length)]  # fmt: skip
    blocks = figures.by_position(votes_from_rows(rows), blocks=2)
    assert [one.value for one in blocks] == [1, 0]
    early = votes_from_rows(row for row in rows if row["judge"] == 1)
    found = [one.value for one in figures.by_position(early, blocks=2, trials=(4, 23))]
    assert found[0] == 1
    assert np.isnan(found[1])


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
    assert [str(time) for time in figures.by_exposure(votes)] == ["100", "200", "300"]  # keys of report.json
    assert figures.response_times(votes)["real"][1] == 514
    assert len(figures.thresholds(votes)) == 1
    # Two exposures that are one whole number: each has its own accuracy.
    rows = [row | {"exposure_ms": 33.2 if row["signal"] else 33.8} for row in rows]
    found = figures.by_exposure(votes_from_rows(rows))
    assert {time: one.value for time, one in found.items()} == {33.2: 1.0, 33.8: 0.0}


def test_two_judges_whose_sums_happen_to_be_alike_are_not_certain() -> None:
    """Eight votes, 0.75 each drawn as generated: no spread of the sums is no p-value of 0."""
    signal, response = [[0, 1, 1, 1], [1, 0, 1, 0]], [[0, 0, 0, 1], [0, 0, 0, 0]]
    rows = [{"judge": j, "signal": signal[j][k], "response": response[j][k], "prevalence": 0.75}
            for j in range(2) for k in range(4)]  # fmt: skip
    assert 0.1 < figures.p_above_chance(votes_from_rows(rows)) < 0.9


STUDY = Path(os.environ.get("IMPROVED_GAN_DATA", "/nowhere")) / "human-votes" / "dgm-eval-cifar10-participants.csv"


@pytest.mark.skipif(not STUDY.is_file(), reason="needs human-votes/ in IMPROVED_GAN_DATA (Stein et al., 2023)")
def test_a_published_study_in_which_each_judge_saw_one_of_thirteen_models() -> None:
    """328 judges, 100 generated and 100 real pictures each: every model's accuracy is its own judges' mean."""
    rows: list[dict[str, object]] = []
    shares: dict[str, list[float]] = {}
    with STUDY.open(newline="") as file:
        for judge, one in enumerate(csv.DictReader(file)):
            shares.setdefault(one["model"], []).append(float(one["num_correct"]) / 200)
            for signal, name, wrong in ((1, one["model"], one["f_err_rt"]), (0, "real", one["r_err_rt"])):
                right = 100 - round(100 * float(wrong))
                rows += [{"judge": judge, "model": name, "signal": signal, "trial": k + 100 * signal,
                          "response": signal if k < right else 1 - signal} for k in range(100)]  # fmt: skip
    votes = votes_from_rows(rows)
    assert len(votes.models()) == 13
    for name in votes.models():
        found = figures.model_figures(votes, name)
        assert found.judges == len(shares[name])
        assert found.signals == found.noises == 100 * found.judges
        assert found.accuracy.value == pytest.approx(np.mean(shares[name]), abs=1e-12)
        assert found.accuracy.contains(float(np.mean(shares[name])))
    assert round(figures.model_figures(votes, "RESFLOW").accuracy.value, 3) == 0.912


def judged_apart(seed: int = 0, judges: int = 12):
    """Two models with judges of their own: those of `hard` are slow to say "generated", those of `easy` quick."""
    easy = simulate(Population({"easy": 0.85}, criterion=-0.8), judges=judges, trials=40, seed=seed)
    hard = simulate(Population({"hard": 0.6}, criterion=0.8), judges=judges, trials=40, seed=seed + 1000)
    columns = vars(replace(hard, judge=hard.judge + judges))
    return easy, hard, type(easy)(**{name: np.concatenate([one, columns[name]]) for name, one in vars(easy).items()})


def test_other_models_judges_do_not_count_for_a_model() -> None:
    easy, hard, votes = judged_apart()
    for name, alone in (("easy", easy), ("hard", hard)):
        assert figures.model_figures(votes, name) == figures.model_figures(alone, name)
    ((_, found),) = figures.differences(votes).items()
    assert found.value == pytest.approx(figures.accuracy(easy).value - figures.accuracy(hard).value)
    times = figures.response_times(votes)
    assert set(times) == {"easy", "hard", "real, judges of easy", "real, judges of hard"}
    assert times["real, judges of easy"] == figures.response_times(easy)["real"]


def test_a_judge_who_saw_every_model_counts_for_every_model() -> None:
    real = int((VOTES.model == "real").sum())
    assert [figures.model_figures(VOTES, name).noises for name in ("cifar", "mnist")] == [real, real]
    assert set(figures.response_times(VOTES)) == {"real", "cifar", "mnist"}


def test_the_difference_of_two_groups_of_judges_holds_the_truth() -> None:
    truth = 0.85 - 0.6
    people = [Population({"g": one}) for one in (0.85, 0.6)]
    held = []
    for seed in range(150):
        first, second = (simulate(one, judges=4, trials=30, seed=2 * seed + k) for k, one in enumerate(people))
        held.append(figures.difference(first, replace(second, judge=second.judge + 4)).contains(truth))
    assert 0.9 < np.mean(held) <= 1


def test_judges_without_a_trial_of_a_kind_do_not_show_its_spread() -> None:
    """Two of twelve judges saw generated pictures: a hit rate's interval is the t interval of two."""
    counts = np.zeros((12, 2))
    counts[:2] = (40, 100), (60, 100)
    found = figures._pooled_share(counts)
    # a standard error of 0.1, times t_{0.975, 1} = 12.7, is beyond all shares
    assert (found.value, found.low, found.high) == (0.5, 0, 1)

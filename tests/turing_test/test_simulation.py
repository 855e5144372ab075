import numpy as np
import pytest

from improved_gan.turing_test import simulation
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.ranking import rank_models
from improved_gan.turing_test.simulation import (
    Population,
    coverage,
    preference_coverage,
    simulate,
    simulate_preferences,
    true_scores,
)


@pytest.mark.slow
@pytest.mark.parametrize(("accuracy", "judges", "trials"), [(0.787, 30, 40), (0.524, 40, 50)])
def test_the_95_percent_interval_holds_the_truth_in_92_to_98_percent_of_500_studies(accuracy, judges, trials) -> None:
    """The paper's two figures: 78.7% on CIFAR-10, 52.4% (of 2,000 votes) on MNIST."""
    found = coverage(Population({"g": accuracy}), judges=judges, trials=trials, studies=500)
    assert 0.92 <= found["accuracy"] <= 0.98
    assert 0.92 <= found["sensitivity"] <= 0.98


def test_the_true_figures_are_those_of_very_many_judges() -> None:
    people = Population({"a": 0.8, "b": 0.6}, criterion=0.3, skill_spread=0.8)
    votes = simulate(people, judges=6000, trials=40, seed=1)
    for name in ("a", "b"):
        hit, false_alarm = people.true_rates(name)
        assert votes.response[votes.model == name].mean() == pytest.approx(hit, abs=0.006)
        assert votes.response[votes.model == "real"].mean() == pytest.approx(false_alarm, abs=0.006)
        assert people.true_accuracy(name) == pytest.approx((hit + 1 - false_alarm) / 2)
    unbiased = Population({"a": 0.8, "b": 0.6})
    assert [unbiased.true_accuracy(name) for name in ("a", "b")] == pytest.approx([0.8, 0.6])


def test_the_true_figures_hold_what_feedback_gains() -> None:
    people = Population({"a": 0.7}, criterion=0.2, feedback_gain=2.0)
    votes = simulate(people, judges=6001, trials=30, seed=3)
    hit, false_alarm = people.true_rates("a", judges=6001, trials=30)
    assert votes.response[votes.signal].mean() == pytest.approx(hit, abs=0.006)
    assert votes.response[~votes.signal].mean() == pytest.approx(false_alarm, abs=0.006)
    assert people.true_accuracy("a") == pytest.approx((hit + 1 - false_alarm) / 2, abs=0.002)
    plain = Population({"a": 0.7}, criterion=0.2)
    assert people.true_accuracy("a") > plain.true_accuracy("a") + 0.04


def test_the_plan_is_kept_and_the_seed_decides() -> None:
    votes = simulate(Population({"a": 0.6, "b": 0.6}), judges=30, trials=20, prevalence=0.4, seed=5)
    for judge in range(30):
        names = votes.model[votes.judge == judge].tolist()
        assert names.count("a") - names.count("b") in (0, 1)
    assert votes.signal.mean() == pytest.approx(0.4, abs=0.06)
    assert set(votes.prevalence) == {0.4}
    assert set(votes.arm) == {"feedback", "no_feedback"}
    again = simulate(Population({"a": 0.6, "b": 0.6}), judges=30, trials=20, prevalence=0.4, seed=5)
    np.testing.assert_array_equal(votes.response, again.response)


@pytest.mark.parametrize("accuracy", [{}, {"g": 1.0}, {"real": 0.6}, {"a": 0.99, "b": 0.5}])
def test_impossible_populations_are_refused(accuracy) -> None:
    with pytest.raises(TuringTestError):
        Population(accuracy)


def test_impossible_studies_are_refused() -> None:
    with pytest.raises(TuringTestError):
        simulate(Population(), judges=0, trials=1)


SCORES = {"a": 0.8, "b": 0.2, "c": -1.0}


def test_the_truth_is_where_a_large_study_ends() -> None:
    truth = true_scores(SCORES, spread=0.8)
    found = {one.model: one.score.value for one in rank_models(
        simulate_preferences(SCORES, judges=3000, trials=30, spread=0.8)).models}  # fmt: skip
    assert found == pytest.approx(truth, abs=0.05)
    assert truth["a"] < SCORES["a"]  # judges who differ pull the common scores together


def test_balanced_pairs_and_sides() -> None:
    table = simulate_preferences(SCORES, judges=20, trials=9)
    pairs, shown = np.unique([sorted(pair) for pair in zip(table.left, table.right, strict=True)], axis=0,
                             return_counts=True)  # fmt: skip
    assert len(pairs) == 3
    assert shown.tolist() == [60, 60, 60]
    assert abs((table.left < table.right).mean() - 0.5) < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("adaptive", [False, True])
def test_intervals_hold_the_truth(adaptive: bool) -> None:
    """60 studies: 95% +- 3 standard errors (2.8 points); docs/turing_test.md has the figures of 500."""
    found = preference_coverage(SCORES, judges=20, trials=18, studies=60, adaptive=adaptive)
    assert all(share >= 0.86 for share in found.values())


@pytest.mark.parametrize(("scores", "words"), [({"a": 1.0}, "two models"), ({"a": 1.0, "b": float("nan")}, "between")])
def test_what_cannot_be_simulated(scores, words: str) -> None:
    with pytest.raises(TuringTestError, match=words):
        simulate_preferences(scores, judges=2, trials=2)


def test_the_next_seed_has_other_studies(monkeypatch) -> None:
    seen: list[int] = []

    def simulated(*args, seed, **settings):
        seen.append(seed)
        return simulate(*args, seed=seed, **settings)

    monkeypatch.setattr(simulation, "simulate", simulated)
    for seed in (0, 1):
        coverage(Population(), judges=3, trials=4, studies=20, seed=seed)
    assert len(set(seen)) == 40

import numpy as np
import pytest

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.preference_simulation import preference_coverage, simulate_preferences, true_scores
from improved_gan.turing_test.ranking import rank_models

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

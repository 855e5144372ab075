from itertools import combinations

import numpy as np
import pytest

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.exclusions import Rules
from improved_gan.turing_test.preferences import preferences_from_rows
from improved_gan.turing_test.ranking import preference_counts, rank_models
from improved_gan.turing_test.simulation import simulate_preferences

NO_RULES = Rules(None, 0, 0, 0)


def rows(*answers: tuple[str, str, str], judges: int = 1, **more: object) -> list[dict]:
    return [{"judge": j, "left": a, "right": b, "outcome": o, **more} for j in range(judges) for a, b, o in answers]


def test_counts_do_not_depend_on_the_side() -> None:
    table = preferences_from_rows(rows(("a", "b", "left"), ("b", "a", "right"), ("b", "a", "left"), ("a", "b", "tie")))
    assert preference_counts(table)[2].tolist() == [[[2, 1, 1]]]


def test_tallies_wins_and_both_bad() -> None:
    answers = [("a", "b", "left")] * 3 + [("b", "a", "left"), ("a", "b", "tie"), ("a", "b", "both_bad")]
    found = rank_models(preferences_from_rows(rows(*answers, judges=4)), rules=NO_RULES)
    best = found.models[0]
    assert (best.model, best.comparisons, best.wins, best.losses, best.ties, best.both_bad) == ("a", 24, 12, 4, 4, 4)
    assert found.wins[0].share.value == pytest.approx((12 + 4) / 24)
    assert (found.ties, found.both_bad) == (pytest.approx(1 / 6), pytest.approx(1 / 6))
    assert found.left_share.value == 1


def test_models_alike_share_a_letter_and_a_worse_one_does_not() -> None:
    table = simulate_preferences({"a": 0.8, "b": 0.8, "c": -1.5}, judges=40, trials=30, seed=3)
    found = rank_models(table)
    assert {one.model: one.group for one in found.models} == {"a": "a", "b": "a", "c": "b"}
    assert {one.model: (one.rank_low, one.rank_high) for one in found.models} == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}
    assert found.p_transitive > 0.01
    assert found.cycles == []


def test_a_cycle_is_found_and_one_score_a_model_rejected() -> None:
    cycle = [("a", "b", "left"), ("b", "c", "left"), ("c", "a", "left")] * 3
    noise = [("a", "b", "right"), ("b", "c", "right"), ("c", "a", "right")]
    table = preferences_from_rows([row for j in range(12) for row in rows(*cycle, *noise[: j % 4], judges=1, judge=j)])
    found = rank_models(table, rules=NO_RULES)
    assert [set(one) for one in found.cycles] == [{"a", "b", "c"}]
    assert found.p_transitive < 0.001


def test_rules_and_notes() -> None:
    failed = rows(("check", "a", "left"), ("check", "b", "left"), kind="check", judge=7)
    answers = rows(("a", "b", "left"), ("a", "b", "right"), judges=3)
    table = preferences_from_rows([*answers, *rows(("a", "b", "left"), judge=7), *failed])
    found = rank_models(table, adaptive=True)
    assert (found.judges_before, found.judges, found.answers) == (4, 3, 6)
    assert found.exclusions[0].judges == 1
    assert "chosen by earlier answers" in found.notes[0]
    apart = rank_models(preferences_from_rows(rows(("a", "b", "left"), ("c", "d", "left"), judges=3)), rules=NO_RULES)
    assert "no chain of comparisons links a with c, d" in apart.notes[0]


def test_several_questions_are_ranked_one_by_one_and_none_is_no_error() -> None:
    table = preferences_from_rows(
        rows(("a", "b", "left"), judges=3, question="realism") + rows(("a", "b", "right"), judges=3, question="match")
    )
    assert rank_models(table, "match", NO_RULES).models[0].model == "b"
    with pytest.raises(TuringTestError, match="2 questions"):
        rank_models(table)
    empty = rank_models(preferences_from_rows([]))
    assert (empty.models, empty.answers) == ([], 0)
    assert np.isnan(empty.ties)
    assert rank_models(table, "match", NO_RULES).to_dict()["models"][0]["model"] == "b"


def test_one_judge_has_no_interval() -> None:
    found = rank_models(preferences_from_rows(rows(("a", "b", "left"), ("a", "b", "right"))), rules=NO_RULES)
    assert np.isnan(found.models[0].score.low)
    assert found.models[0].group == "a"


def unanimous(models: str, judges: int) -> list[dict]:
    """Each judge prefers each model to all that follow it."""
    return rows(*((a, b, "left") for k, a in enumerate(models) for b in models[k + 1 :]), judges=judges)


def test_two_judges_with_one_answer_each_tell_no_models_apart() -> None:
    found = rank_models(preferences_from_rows(unanimous("ab", 2)), rules=NO_RULES)
    assert [(one.group, one.rank_low, one.rank_high) for one in found.models] == [("a", 1, 2)] * 2
    assert np.isnan([found.models[0].score.low, found.models[0].elo.high]).all()
    assert (found.wins[0].share.low, found.wins[0].share.high) == pytest.approx((0.3424, 1), abs=1e-4)  # Wilson, 2 of 2
    assert found.left_share.low == found.wins[0].share.low
    cycle = rows(("a", "b", "left"), ("b", "c", "left"), ("c", "a", "left"), judges=2)
    assert rank_models(preferences_from_rows(cycle), rules=NO_RULES).cycles == []


@pytest.mark.parametrize("models", ["abc", "abcd"])
def test_twelve_judges_who_agree_about_all_pairs_tell_them_apart_by_one_score(models: str) -> None:
    found = rank_models(preferences_from_rows(unanimous(models, 12)), rules=NO_RULES)
    assert [(one.model, one.group) for one in found.models] == [(one, one) for one in models]
    assert found.p_transitive > 0.2
    cycle = rows(("a", "b", "left"), ("b", "c", "left"), ("c", "a", "left"), judges=12)
    assert len(rank_models(preferences_from_rows(cycle), rules=NO_RULES).cycles) == 1


def test_five_judges_seldom_tell_apart_models_that_are_alike() -> None:
    """Standard errors that five judges give need the t distribution: without it, it was two studies of five."""
    told = 0
    for seed in range(12):
        found = rank_models(simulate_preferences(dict.fromkeys("abcd", 0), judges=5, trials=12, seed=seed))
        told += len({one.group for one in found.models}) > 1
    assert told <= 1


def apart(answers: list[dict]) -> set[frozenset[str]]:
    models = rank_models(preferences_from_rows(answers), rules=NO_RULES).models
    names = combinations(models, 2)
    return {frozenset((one.model, two.model)) for one, two in names if not set(one.group) & set(two.group)}


def test_judges_who_all_agree_tell_the_ends_of_a_ranking_apart_and_a_turned_answer_no_more() -> None:
    answers = unanimous("abcdef", 8)
    told = apart(answers)
    assert {frozenset("af"), frozenset("ae"), frozenset("bf")} <= told
    for turned in (0, 4, 14):
        changed = [row | {"outcome": "right"} if k == turned else row for k, row in enumerate(answers)]
        assert apart(changed) <= told


def test_a_handful_of_answers_tells_no_models_apart() -> None:
    """All for a, 4 answers: the sign test has p = 0.125, whoever gave how many. A model that 3 judges saw is alike."""
    answers = [row for j, times in enumerate((1, 1, 2)) for row in rows(*[("a", "b", "left")] * times, judge=j)]
    assert apart(answers) == set()
    generator = np.random.default_rng(0)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")] * 3
    noise = [{"judge": j, "left": a, "right": b, "outcome": ("left", "right")[generator.integers(2)]}
             for j in range(30) for a, b in pairs]  # fmt: skip
    assert apart([*noise, *rows(("a", "d", "left"), judges=3)]) == set()


def test_a_pair_that_two_of_twelve_judges_saw_has_the_t_interval_of_two() -> None:
    answers = rows(("b", "c", "left"), ("c", "b", "left"), judges=12)
    for j, won in enumerate((40, 60)):
        answers += rows(*[("a", "b", "left")] * won, *[("a", "b", "right")] * (100 - won), judge=j)
    found = rank_models(preferences_from_rows(answers), rules=NO_RULES)
    (share,) = (one.share for one in found.wins if {one.model, one.other} == {"a", "b"})
    # a standard error of 0.1, times t_{0.975, 1} = 12.7, is beyond all shares; that of twelve judges was 0.38 to 0.62
    assert (share.value, share.low, share.high) == (0.5, 0, 1)

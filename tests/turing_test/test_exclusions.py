import numpy as np
import pytest

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.exclusions import Rules, apply_rules
from improved_gan.turing_test.votes import votes_from_rows


def judge(number: int, *, ms: float, failed: int, trials: int = 4, practice: int = 2):
    rows = [{"kind": "practice", "signal": 1, "response": 0}] * practice
    rows += [{"kind": "check", "signal": 1, "response": int(k >= failed)} for k in range(3)]
    rows += [{"kind": "main", "signal": 1, "response": 1}] * trials
    return [{"judge": number, "response_ms": ms, **row} for row in rows]


def test_each_rule_removes_what_it_says_and_is_counted_in_order() -> None:
    rows = judge(0, ms=900, failed=0) + judge(1, ms=900, failed=2) + judge(2, ms=200, failed=0)
    rows += judge(3, ms=200, failed=3) + judge(4, ms=800, failed=1, trials=1)
    rows.append({"judge": 0, "response_ms": 50, "signal": 0, "response": 0})
    kept, removed = apply_rules(votes_from_rows(rows), Rules(min_trials=2))
    assert np.unique(kept.judge).tolist() == [0]
    assert [(one.judges, one.votes) for one in removed] == [(2, 8), (1, 4), (0, 1), (1, 1)]
    assert "more than 1 attention checks" in removed[0].rule


def test_no_rules_keep_every_main_vote_and_only_those() -> None:
    votes = votes_from_rows(judge(0, ms=5, failed=3))
    kept, removed = apply_rules(votes, Rules(max_failed_checks=None, min_median_ms=0, min_answer_ms=0, min_trials=0))
    assert len(kept) == 4
    assert sum(one.votes for one in removed) == 0


def test_without_times_nobody_is_too_fast() -> None:
    kept, _ = apply_rules(votes_from_rows([{"judge": 0, "signal": 1, "response": 1}]), Rules())
    assert len(kept) == 1


def test_negative_rules_are_refused() -> None:
    with pytest.raises(TuringTestError, match="min_median_ms must be 0 or more, not -1"):
        Rules(min_median_ms=-1)

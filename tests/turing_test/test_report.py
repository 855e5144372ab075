import json
import math

import pytest

from improved_gan.turing_test.exclusions import Rules
from improved_gan.turing_test.report import make_report
from improved_gan.turing_test.report_formats import report_text
from improved_gan.turing_test.simulation import Population, simulate
from improved_gan.turing_test.votes import votes_from_rows


def test_the_report_recovers_what_was_simulated() -> None:
    people = Population({"cifar": 0.787, "mnist": 0.56})
    report = make_report(simulate(people, judges=80, trials=120, seed=11))
    for model in report.models:
        assert model.accuracy.contains(people.true_accuracy(model.model))
        assert model.sensitivity.contains(people.true_sensitivity(model.model))
    assert report.votes == report.votes_before == 9600
    assert set(report.arms) == set(report.learning) == {"feedback", "no_feedback"}
    assert 0 < report.agreement < 0.5


def test_as_data_it_is_json_without_nan() -> None:
    for votes in (simulate(Population(), judges=1, trials=3), votes_from_rows([])):
        text = json.dumps(make_report(votes).to_dict(), allow_nan=False)
        assert json.loads(text)["rules"]["max_failed_checks"] == 1
    assert make_report(votes_from_rows([])).models == []


def test_numbers_before_and_after_the_rules() -> None:
    votes = simulate(Population(), judges=10, trials=20, seed=1)
    votes.response_ms[votes.judge == 3] = 50
    report = make_report(votes, Rules())
    assert (report.judges_before, report.judges, report.votes_before, report.votes) == (10, 9, 200, 180)
    assert [one.judges for one in report.exclusions] == [0, 1, 0, 0]


def test_fixed_numbers_with_feedback_are_told_and_their_chance_is_what_counting_gives() -> None:
    rows = [{"judge": j, "arm": arm, "trial": k, "signal": k % 2, "response": int((j + k) % 3 == 0)}
            for arm, judges in (("feedback", range(3)), ("no_feedback", range(3, 6)))
            for j in judges for k in range(50)]  # fmt: skip
    report = make_report(votes_from_rows(rows))
    assert report.chance == {"feedback": pytest.approx(0.579, abs=1e-3), "no_feedback": 0.5}
    (note,) = report.notes
    assert "right in up to 57.9%" in note
    assert f"note: {note}" in report_text(report)
    drawn = make_report(votes_from_rows(row | {"prevalence": 0.5} for row in rows))
    assert (drawn.chance, drawn.notes) == ({"feedback": 0.5, "no_feedback": 0.5}, [])
    assert drawn.p_above_chance != report.p_above_chance


def test_votes_without_a_picture_say_nothing_about_agreement() -> None:
    rows = [{"judge": j, "signal": k % 2, "response": (j + k) % 2} for j in range(4) for k in range(10)]
    report = make_report(votes_from_rows(rows))
    assert math.isnan(report.agreement)
    assert report.pictures == []


def test_a_judge_who_sees_a_picture_again_does_not_agree_with_another() -> None:
    def row(judge: int, trial: int, picture: int, response: int) -> dict:
        return {"judge": judge, "trial": trial, "picture": picture, "signal": 1, "response": response}

    alone = [row(0, k, k % 3, int(k % 3 > 0)) for k in range(12)]
    assert math.isnan(make_report(votes_from_rows(alone)).agreement)
    once = [row(judge, k, k, (k + judge) % 2) for judge in range(2) for k in range(6)]
    again = [row(judge, 6 + k, k, (k + judge) % 2) for judge in range(2) for k in range(6)]
    expected = make_report(votes_from_rows(once)).agreement
    assert expected < 0
    assert make_report(votes_from_rows(again + once)).agreement == expected

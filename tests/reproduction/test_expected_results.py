import json
from dataclasses import replace
from pathlib import Path

import pytest

from improved_gan.recipes import RECIPES, digits
from improved_gan.reproduction.expected_results import (
    FRACTIONS,
    expected_results,
    expected_seconds,
    make_record,
    packaged_record,
    write_record,
)
from improved_gan.training.errors import RunError
from tests.reproduction.jobs import fill, plan

MACHINE = {"machine": "An Abacus", "cores": 4, "threads": 2, "device": "cpu"}


def recorded(out: Path, *, epochs: int = 10):
    """Two finished runs with a report every epoch, 12 steps and 30 seconds each."""
    whole = plan(out, epochs=epochs)
    for one, wrong in zip(whole.all_jobs()[:2], (20, 30), strict=True):
        fill(one, wrong=wrong, epoch=epochs)
        one.sidecar_path("machine.json").write_text(json.dumps(MACHINE))
    return whole


def test_a_record_holds_time_and_error_with_their_spread(tmp_path: Path) -> None:
    record = make_record(recorded(tmp_path))
    budget = record["budgets"]["50"]
    assert record["recipe"] == "digits"
    assert (budget["runs"], budget["epochs"], budget["steps"], budget["splits"]) == (2, 10, 120, [1, 2])
    assert budget["seconds_per_step"] == 300 / 120
    assert (budget["machine"], budget["threads"], budget["precision"]) == ("An Abacus", 2, "float32")
    assert [point["share"] for point in budget["points"]] == list(FRACTIONS)
    assert budget["points"][0] == {
        **{"share": 0.1, "epoch": 1, "seconds": 30.0},
        "error": {"mean": 0.05, "low": 0.04, "high": 0.06},
    }
    assert budget["points"][-1]["seconds"] == 300


def test_a_record_holds_the_error_of_weights_without_average_if_all_logs_have_it(tmp_path: Path) -> None:
    whole = recorded(tmp_path)
    for job, current in zip(whole.all_jobs()[:2], (0.1, 0.3), strict=True):
        log = job.folder / "log.jsonl"
        lines = [json.loads(line) | {"test/error_without_average": current} for line in log.read_text().splitlines()]
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    point = make_record(whole)["budgets"]["50"]["points"][0]
    assert point["error_without_average"] == {"mean": 0.2, "low": 0.1, "high": 0.3}


def test_models_that_shared_their_steps_do_not_tell_how_long_one_takes(tmp_path: Path) -> None:
    whole = recorded(tmp_path)
    log = whole.all_jobs()[1].folder / "log.jsonl"
    log.write_text(
        "".join(json.dumps({**json.loads(line), "models": 2}) + "\n" for line in log.read_text().splitlines())
    )
    assert make_record(whole)["budgets"]["50"]["splits"] == [1]


def test_what_train_says(tmp_path: Path) -> None:
    record = json.loads(json.dumps(make_record(recorded(tmp_path))))
    recipe = replace(digits(), epochs=10)
    first, second = expected_results(recipe, record)
    assert first == (
        "expected at 10% (epoch 1) 30 s, error 5.00% (4.00-6.00%); 30% (epoch 3) 90 s, error 5.00% (4.00-6.00%); "
        "100% (epoch 10) 5.0 min, error 5.00% (4.00-6.00%)"
    )
    assert second == "(2 recorded runs, mean and range, on that machine: 2 threads of An Abacus, float32)"


@pytest.mark.parametrize("change", [{"epochs": 3}, {"num_labels": 100}, {"learning_rate": 0.1}, {"load_data": len}])
def test_nothing_is_said_of_what_was_not_recorded(tmp_path: Path, change: dict) -> None:
    recipe = replace(digits(), epochs=10)
    record = json.loads(json.dumps(make_record(recorded(tmp_path))))
    assert expected_results(recipe, record)
    assert expected_results(replace(recipe, precision="bfloat16", report_every=1), record)
    assert expected_results(replace(recipe, **change), record) == []
    assert expected_results(recipe, None) == []
    assert expected_seconds(recipe, record) == (
        pytest.approx(300),
        expected_results(recipe, record)[1].split(": ")[1][:-1],
    )
    assert expected_seconds(replace(recipe, **change), record) is None


def test_a_share_that_no_report_is_near_is_left_out(tmp_path: Path) -> None:
    points = make_record(recorded(tmp_path, epochs=3))["budgets"]["50"]["points"]
    assert [(point["share"], point["epoch"]) for point in points] == [(0.3, 1), (1.0, 3)]


def test_a_training_of_the_digits_is_told_what_to_expect() -> None:
    first, second = expected_results(digits(), packaged_record("digits"))
    assert "10% (epoch 20)" in first
    assert "30% (epoch 60)" in first
    assert "100% (epoch 200)" in first
    assert "10 recorded runs" in second


def test_a_record_grows_budget_by_budget(tmp_path: Path) -> None:
    file = tmp_path / "digits.json"
    whole = recorded(tmp_path / "out")
    assert write_record(whole, file) == ["50"]
    content = json.loads(file.read_text())
    content["budgets"]["100"] = content["budgets"]["50"]
    file.write_text(json.dumps(content))
    write_record(whole, file)
    assert list(json.loads(file.read_text())["budgets"]) == ["50", "100"]


def test_what_cannot_be_recorded_is_told(tmp_path: Path) -> None:
    without = recorded(tmp_path / "no labels")
    for job in without.all_jobs()[:2]:
        log = job.folder / "log.jsonl"
        log.write_text(log.read_text().replace("test/error", "other/error"))
    with pytest.raises(RunError, match="the runs of digits report no test error: leave out --save-expected"):
        make_record(without)
    with pytest.raises(RunError, match=r"finished runs of one recipe; here are those of none"):
        make_record(plan(tmp_path / "empty"))
    whole, file = recorded(tmp_path / "out"), tmp_path / "r.json"
    file.write_text('{"recipe": "mnist", "budgets": {}}')
    with pytest.raises(RunError, match="is the record of recipe mnist, not digits"):
        write_record(whole, file)
    file.write_text("[]")
    with pytest.raises(RunError, match="is not a record of runs"):
        write_record(whole, file)
    assert file.read_text() == "[]"


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_packaged_records_are_of_their_recipe_and_in_order(name: str) -> None:
    record = packaged_record(name)
    if record is None:
        return
    assert record["recipe"] == name
    for labels, budget in record["budgets"].items():
        recipe = RECIPES[name](int(labels))
        assert expected_results(replace(recipe, epochs=budget["epochs"]), record), f"{name} has changed: record it anew"
        seconds = [point["seconds"] for point in budget["points"]]
        assert seconds == sorted(seconds)
        assert all(0 <= point["error"]["low"] <= point["error"]["high"] <= 1 for point in budget["points"])


def test_an_unknown_recipe_has_no_record() -> None:
    assert packaged_record("nothing-of-the-kind") is None

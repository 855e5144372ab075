import shutil
from pathlib import Path

import pytest

from improved_gan.reports.comparison import Group, Panel, compare, flatten, groups, named_runs, panels
from improved_gan.runs import Run
from improved_gan.training.errors import RunError
from tests.runs.made import run_of


def record(name: str, **settings: object) -> Run:
    """A run with these settings alone."""
    run = Run(Path(name))
    run.settings = settings
    return run


def test_runs_that_differ_in_their_seeds_are_one_group(small_runs: dict[str, Path]) -> None:
    runs = named_runs([small_runs[name] for name in ("first", "pictures", "second")])
    found = groups(runs)
    assert [group.members for group in found] == [(0, 2), (1,)]
    assert found[0].name == "SemiSupervised.py, 50 labels" or found[0].name.startswith("small-SemiSupervised")


def test_what_differs_is_marked_and_nothing_else(small_runs: dict[str, Path]) -> None:
    rows = {row.name: row for row in compare(named_runs([small_runs["first"], small_runs["second"]]))}
    assert {name for name, row in rows.items() if row.differs} == {"seed", "label_split.seed", "label_split.sha256"}
    assert rows["seed"].values == ("1", "2")
    assert rows["generator.hidden"].values == ("32", "32")
    assert not any("indices" in name for name in rows)


def test_a_setting_that_one_run_lacks_differs() -> None:
    rows = compare([record("a", values={"x": 1, "y": None}), record("b", values={"x": 1})])
    assert [(row.name, row.values, row.differs) for row in rows] == [
        ("x", ("1", "1"), False),
        ("y", ("none", ""), True),
    ]


def test_groups_of_one_name_are_told_apart() -> None:
    runs = [
        record("a", recipe="r", label_split={"num_labels": 0}, lr=1),
        record("b", recipe="r", label_split={"num_labels": 0}, lr=2),
        record("c", recipe="r", label_split={"num_labels": 0}, lr=1),
    ]
    assert [(group.name, group.members) for group in groups(runs)] == [("r (a ...)", (0, 2)), ("r (b ...)", (1,))]


def test_nested_lists_and_kinds_of_values() -> None:
    flat = flatten({"a": [{"b": True}, [1, 2]], "c": [], "d": 1e-4, "values": {"name": "left out"}})
    assert flat == {"a.0.b": "yes", "a.1": "1, 2", "c": "", "d": "0.0001"}


def test_names_take_as_much_of_the_path_as_they_need(small_runs: dict[str, Path], tmp_path: Path) -> None:
    for folder in ("x", "y"):
        shutil.copytree(small_runs["first"], tmp_path / folder / "run")
    paths = [tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "x" / ".." / "x" / "run"]
    assert [record.name for record in named_runs(paths)] == ["x/run", "y/run"]
    assert [record.name for record in named_runs(paths[:1])] == ["run"]


def test_no_run_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        named_runs([tmp_path])


def by_title(found: list[Panel]) -> dict[str, Panel]:
    return {panel.title: panel for panel in found}


def test_a_group_is_drawn_as_mean_and_range_beside_its_runs() -> None:
    runs = [
        run_of({"epoch": 1, "seconds": 60.0, "test/error": 0.1}),
        run_of({"epoch": 1, "seconds": 120.0, "test/error": 0.3}),
    ]
    panel = by_title(panels(runs, [Group("both", (0, 1))]))["Test error"]
    single, other, both = panel.lines
    assert (single.owner, single.mean, single.low) == ("run-0", [10.0], [10.0])
    assert (other.owner, other.mean) == ("run-1", [30.0])
    assert (both.owner, both.epochs, both.mean, both.low, both.high) == ("group-0", [1], [20.0], [10.0], [30.0])
    assert both.minutes == [1.5]
    assert panel.unit == "%"


def test_errors_of_averaged_and_of_current_weights_share_a_panel() -> None:
    reports = {"epoch": 1, "seconds": 1.0, "test/error": 0.1, "test/error_without_average": 0.2}
    found = by_title(panels([run_of({**reports, "test/num_errors_without_average": 2})], []))
    assert [(line.name, line.mean) for line in found["Test error"].lines] == [
        ("averaged weights", [10.0]),
        ("current weights", [20.0]),
    ]
    assert list(found) == ["Test error", "Seconds per epoch, training steps only"]


def test_a_mean_needs_half_of_the_runs_also_where_the_others_have_no_report_yet() -> None:
    runs = [run_of({"epoch": 1, "generator/own_term": 2.0}), run_of(), run_of()]
    for members, owners in (((0, 1), ["run-0", "group-0"]), ((0, 1, 2), ["run-0"])):
        (panel,) = panels(runs[: len(members)], [Group("g", members)])
        assert [line.owner for line in panel.lines] == owners


def test_a_group_of_one_draws_no_second_line() -> None:
    found = panels([run_of({"epoch": 1, "seconds": 1.0, "test/error": 0.1})], [Group("alone", (0,))])
    assert [line.owner for line in found[0].lines] == ["run-0"]


def test_entries_of_one_quantity_share_a_panel_and_unknown_ones_get_their_own() -> None:
    reports = {
        "epoch": 1,
        "seconds": 1.0,
        "discriminator/real_probability": 0.9,
        "discriminator/generated_probability": 0.1,
        "generator/own_term": 2.0,
        "test/num_errors": 3,
    }
    found = by_title(panels([run_of(reports)], []))
    assert [line.name for line in found["Discriminator: probability of being real"].lines] == [
        "real images",
        "generated",
    ]
    assert found["Generator: own term"].lines[0].mean == [2.0]
    assert not any("wrong" in title for title in found)


def test_the_seconds_per_epoch_are_those_between_reports() -> None:
    runs = [run_of({"epoch": 2, "seconds": 10.0}, {"epoch": 4, "seconds": 14.0}, {"epoch": 5, "seconds": 14.0})]
    line = by_title(panels(runs, []))["Seconds per epoch, training steps only"].lines[0]
    assert (line.epochs, line.mean) == ([2, 4], [5.0, 2.0])


@pytest.mark.parametrize(
    ("values", "logarithmic"), [((1.0, 0.01), True), ((1.0, 0.5), False), ((1.0, 0.0), False), ((1.0, -5.0), False)]
)
def test_the_axis_starts_logarithmic_where_values_span_much_and_are_positive(
    values: tuple[float, ...], logarithmic: bool
) -> None:
    run = run_of(*({"epoch": epoch + 1, "generator/a": value} for epoch, value in enumerate(values)))
    assert by_title(panels([run], []))["Generator: a"].logarithmic == logarithmic


def test_no_test_error_where_no_classes_were_learnt(small_runs: dict[str, Path]) -> None:
    found = by_title(panels(named_runs([small_runs["pictures"]]), []))
    assert "Test error" not in found
    assert [line.name for line in found["Adversarial losses"].lines] == ["discriminator", "generator"]


def test_an_empty_log_draws_nothing() -> None:
    assert panels([run_of()], [Group("alone", (0,))]) == []


def test_a_validation_error_is_called_that() -> None:
    reports = {
        "epoch": 1,
        "seconds": 1.0,
        "validation/error": 0.25,
        "validation/num_errors": 5,
        "discriminator/supervised": 1.0,
    }
    found = by_title(panels([run_of(reports)], [Group("alone", (0,))]))
    assert found["Validation error"].lines[0].mean == [25.0]
    assert not [title for title in found if title.startswith(("Test", "Validation: "))]

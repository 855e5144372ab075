from pathlib import Path

import pytest

from improved_gan.reports.comparison import Group
from improved_gan.reports.curves import Panel, panels
from improved_gan.reports.run_log import RunRecord, read_runs


def record(*reports: dict) -> RunRecord:
    return RunRecord(Path("run"), "run", {}, tuple({"step": 1, "diagnostics": [], **one} for one in reports), 0, {})


def by_title(found: list[Panel]) -> dict[str, Panel]:
    return {panel.title: panel for panel in found}


def test_a_group_is_drawn_as_mean_and_range_beside_its_runs() -> None:
    runs = [
        record({"epoch": 1, "seconds": 60.0, "test/error": 0.1}),
        record({"epoch": 1, "seconds": 120.0, "test/error": 0.3}),
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
    found = by_title(panels([record({**reports, "test/num_errors_without_average": 2})], []))
    assert [(line.name, line.mean) for line in found["Test error"].lines] == [
        ("averaged weights", [10.0]),
        ("current weights", [20.0]),
    ]
    assert list(found) == ["Test error", "Seconds per epoch, training steps only"]


def test_a_group_of_one_draws_no_second_line() -> None:
    found = panels([record({"epoch": 1, "seconds": 1.0, "test/error": 0.1})], [Group("alone", (0,))])
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
    found = by_title(panels([record(reports)], []))
    assert [line.name for line in found["Discriminator: probability of being real"].lines] == [
        "real images",
        "generated",
    ]
    assert found["Generator: own term"].lines[0].mean == [2.0]
    assert not any("wrong" in title for title in found)


def test_the_seconds_per_epoch_are_those_between_reports() -> None:
    runs = [record({"epoch": 2, "seconds": 10.0}, {"epoch": 4, "seconds": 14.0}, {"epoch": 5, "seconds": 14.0})]
    line = by_title(panels(runs, []))["Seconds per epoch, training steps only"].lines[0]
    assert (line.epochs, line.mean) == ([2, 4], [5.0, 2.0])


@pytest.mark.parametrize(
    ("values", "logarithmic"), [((1.0, 0.01), True), ((1.0, 0.5), False), ((1.0, 0.0), False), ((1.0, -5.0), False)]
)
def test_the_axis_starts_logarithmic_where_values_span_much_and_are_positive(
    values: tuple[float, ...], logarithmic: bool
) -> None:
    run = record(*({"epoch": epoch + 1, "generator/a": value} for epoch, value in enumerate(values)))
    assert by_title(panels([run], []))["Generator: a"].logarithmic == logarithmic


def test_no_test_error_where_no_classes_were_learnt(small_runs: dict[str, Path]) -> None:
    found = by_title(panels(read_runs([small_runs["pictures"]]), []))
    assert "Test error" not in found
    assert [line.name for line in found["Adversarial losses"].lines] == ["discriminator", "generator"]


def test_an_empty_log_draws_nothing() -> None:
    assert panels([record()], [Group("alone", (0,))]) == []


def test_a_validation_error_is_called_that() -> None:
    reports = {
        "epoch": 1,
        "seconds": 1.0,
        "validation/error": 0.25,
        "validation/num_errors": 5,
        "discriminator/supervised": 1.0,
    }
    found = by_title(panels([record(reports)], [Group("alone", (0,))]))
    assert found["Validation error"].lines[0].mean == [25.0]
    assert not [title for title in found if title.startswith(("Test", "Validation: "))]

import io
from pathlib import Path

import pytest
from rich.console import Console

from improved_gan.cli import reproduce_checks
from improved_gan.cli.reproduce_checks import print_expected_time, total_time
from improved_gan.reproduction.expected_results import packaged_record, readable_duration
from improved_gan.reproduction.plan import RunOptions
from tests.reproduction.jobs import fill, plan


def said(out: Path, *, slots: int, done: int = 0, **options: object) -> str:
    whole = plan(out, epochs=200, options=RunOptions(**{"device": "cpu", **options}))
    for one in whole.all_jobs()[:done]:
        fill(one, wrong=9, epoch=100)
    screen = io.StringIO()
    print_expected_time(whole.all_jobs(), slots, Console(file=screen, width=200))
    return screen.getvalue()


def test_runs_that_do_not_share_slots_evenly() -> None:
    assert total_time([5.0, 1.0, 1.0, 1.0], 2) == 5.0
    assert total_time([1.0] * 3, 8) == 1.0
    assert total_time([1.0] * 10, 4) == 3.0


def test_the_time_of_recorded_runs_is_printed(tmp_path: Path) -> None:
    budget = packaged_record("digits")["budgets"]["50"]
    one = budget["seconds_per_step"] * budget["steps"]
    on = f"{budget['threads']} thread of {budget['machine']}, {budget['precision']}"
    assert (
        said(tmp_path / "a", slots=2)
        == f"expected time: about {readable_duration(2 * one)}, by recorded runs on {on}\n"
    )
    assert said(tmp_path / "b", slots=1, done=2).startswith(f"expected time: about {readable_duration(2 * one)}")


@pytest.mark.parametrize("options", [{"device": "cuda"}, {"precision": "bfloat16"}])
def test_nothing_is_printed_for_other_settings_than_recorded(options: dict[str, str], tmp_path: Path) -> None:
    assert said(tmp_path, slots=2, **options) == ""


def test_without_a_record_nothing_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduce_checks, "packaged_record", lambda name: None)
    assert said(tmp_path, slots=2) == ""

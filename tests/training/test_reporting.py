import io
import itertools
from pathlib import Path

import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from improved_gan.training.reporting import Reporter, summary

LINE = {
    "epoch": 2,
    "epochs": 10,
    "step": 20,
    "discriminator/supervised": 0.25,
    "discriminator/real_probability": 0.7,
    "generator/feature_matching": 1.5,
    "test/error": 0.1,
    "test/num_errors": 50,
    "diagnostics": [{"name": "generator collapsed", "message": "look at the grid"}],
}


def test_without_a_terminal_a_report_is_a_line_and_a_warning_is_printed_once(tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen)
    with Reporter(tmp_path, total_steps=100, first_step=0, console=console) as reporter:
        reporter.advance()
        reporter.report(LINE)
        reporter.report({**LINE, "epoch": 3, "step": 30})
        reporter.report({**LINE, "epoch": 4, "step": 40, "diagnostics": []})
        reporter.report({**LINE, "epoch": 5, "step": 50})
    text = screen.getvalue()
    assert text.count("epoch") == 4
    assert text.count("warning: look at the grid") == 2


def test_a_terminal_shows_a_bar_with_losses_and_time(tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160)
    with Reporter(tmp_path, total_steps=4, first_step=1, console=console) as reporter:
        for _ in range(3):
            reporter.advance()
        reporter.report({**LINE, "diagnostics": []})
    text = screen.getvalue()
    assert "epoch 2/10  test error 10.00% (50 wrong)  D supervised 0.2500  G feature matching 1.5000" in text
    assert "4/4" in text
    assert "ETA" in text


def test_events_have_every_number_under_its_name(tmp_path: Path) -> None:
    with Reporter(tmp_path, total_steps=100, first_step=0, console=Console(file=io.StringIO())) as reporter:
        reporter.report(LINE)
        reporter.show_grid(torch.zeros(1, 8, 8, dtype=torch.uint8), 20)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == {name for name in LINE if "/" in name}
    assert tags["images"] == ["samples/grid"]
    scalar = events.Scalars("test/error")[0]
    assert (scalar.step, round(scalar.value, 6)) == (20, 0.1)


def test_summary_leaves_monitors_out() -> None:
    assert "probability" not in summary(LINE)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def made(seconds: float, num: int, *, terminal: bool = False, reports: int = 0) -> list[str]:
    """The output of a reporter for steps of the given seconds, with a report after each `reports` of them."""
    screen, clock = io.StringIO(), Clock()
    console = Console(file=screen, width=200, force_terminal=terminal)
    with Reporter(None, total_steps=2000, first_step=0, console=console, clock=clock) as reporter:
        for step in range(1, num + 1):
            clock.now += seconds
            reporter.advance(lambda: {"discriminator/supervised": 0.5, "generator/feature_matching": 2.0})
            if reports and step % reports == 0:
                reporter.report({**LINE, "step": step, "diagnostics": []})
    return screen.getvalue().splitlines()


def test_the_duration_is_estimated_from_the_first_steps() -> None:
    assert made(1.0, 8)[0] == "about 33 minutes on this processor (1.0 s a step)"
    assert any("about 33 minutes on this processor" in line for line in made(1.0, 8, terminal=True))
    assert made(0.002, 2000) == []  # shorter than any output interval


def test_without_a_terminal_there_is_a_line_at_least_each_minute() -> None:
    lines = made(7.0, 30)
    assert lines[1] == ("step 8/2000  D supervised 0.5000  G feature matching 2.0000  about 3.9 hours left")
    steps = [0, *(int(line.split("/")[0].removeprefix("step ")) for line in lines[1:])]
    assert all((later - earlier) * 7.0 <= 60 for earlier, later in itertools.pairwise(steps))
    assert (30 - steps[-1]) * 7.0 <= 60
    assert len(steps) - 1 <= 210 / 49  # and no more lines than needed


def test_reports_count_as_lines_and_say_how_long() -> None:
    lines = made(7.0, 30, reports=5)
    assert [line.split("  ")[0] for line in lines if not line.startswith("about")] == ["epoch 2/10"] * 6
    assert lines[-1].endswith("about 3.8 hours left")


def test_vmapped_steps_show_the_losses_of_the_last_report() -> None:
    screen, clock = io.StringIO(), Clock()
    with Reporter(None, total_steps=99, first_step=0, console=Console(file=screen, width=200), clock=clock) as reporter:
        reporter.report({**LINE, "diagnostics": []})
        for _ in range(20):
            clock.now += 5.0
            reporter.advance()
    assert "step 11/99  D supervised 0.2500  G feature matching 1.5000  about 7 minutes left" in screen.getvalue()

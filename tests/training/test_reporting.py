import io
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
    "test/wrong": 50,
    "alarms": [{"name": "generator collapsed", "message": "look at the grid"}],
}


def test_a_report_is_a_line_where_there_is_no_terminal_and_an_alarm_sounds_once(tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen)
    with Reporter(tmp_path, total_steps=100, first_step=0, console=console) as reporter:
        reporter.advance()
        reporter.report(LINE)
        reporter.report({**LINE, "epoch": 3, "step": 30})
        reporter.report({**LINE, "epoch": 4, "step": 40, "alarms": []})
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
        reporter.report({**LINE, "alarms": []})
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

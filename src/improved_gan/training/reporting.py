"""What a run shows: a progress bar on a terminal, a line a report elsewhere, and TensorBoard events."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

__all__ = ["Reporter", "say", "summary", "warn"]


class Reporter:
    """Shows one run's progress; a context manager.

    Args:
        tensorboard: folder of the event files; None for none.
        total_steps: length of the whole run.
        first_step: where this start begins; events after it are shown anew.
        console: where to print.
    """

    def __init__(self, tensorboard: Path | None, *, total_steps: int, first_step: int, console: Console) -> None:
        self._console = console
        self._events = None if tensorboard is None else _event_writer(tensorboard, first_step)
        columns = (
            TextColumn("{task.fields[summary]}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=60)
        self._task = self._progress.add_task("train", total=total_steps, completed=first_step, summary="starting")
        self._shown_alarms: set[str] = set()

    def __enter__(self) -> "Reporter":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        if self._events is not None:
            self._events.close()

    def advance(self) -> None:
        """One step was made."""
        self._progress.advance(self._task)

    def report(self, line: Mapping[str, Any]) -> None:
        """Show one line of the log."""
        self._progress.update(self._task, summary=summary(line))
        if not self._console.is_terminal:
            say(self._console, summary(line))
        for name, value in line.items():
            if "/" in name and self._events is not None:
                self._events.add_scalar(name, value, line["step"])
        for alarm in line["alarms"]:
            if alarm["name"] not in self._shown_alarms:
                warn(self._console, alarm["message"])
        self._shown_alarms = {alarm["name"] for alarm in line["alarms"]}

    def show_grid(self, picture: Tensor, step: int) -> None:
        """Add a grid of samples (C, H, W) to the events."""
        if self._events is not None:
            self._events.add_image("samples/grid", picture, step)


def _event_writer(folder: Path, first_step: int) -> Any:
    # Quiet TensorFlow-style chatter of the event writer's own imports.
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    from torch.utils.tensorboard import SummaryWriter  # 1 s to import: only training pays for it

    return SummaryWriter(str(folder), purge_step=first_step + 1)


def say(console: Console, text: str) -> None:
    """Print text as it is: brackets in a file name are no markup, and no line is broken."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def warn(console: Console, text: str) -> None:
    """Print text as it is, with "warning:" before it."""
    console.print("[yellow]warning:[/yellow]", escape(text), highlight=False, soft_wrap=True)


def summary(line: Mapping[str, Any]) -> str:
    """One report in one line: epoch, test error, and what the players minimise.

    >>> summary({"epoch": 3, "epochs": 10, "test/error": 0.0123, "test/wrong": 123, "discriminator/supervised": 0.01})
    'epoch 3/10  test error 1.23% (123 wrong)  D supervised 0.0100'
    """
    parts = [f"epoch {line['epoch']}/{line['epochs']}"]
    for kind in ("test", "validation"):
        if f"{kind}/error" in line:
            parts.append(f"{kind} error {line[f'{kind}/error']:.2%} ({line[f'{kind}/wrong']} wrong)")
    short = {"discriminator": "D", "generator": "G"}
    monitors = (
        "labelled_error",
        "real_probability",
        "generated_probability",
        "accuracy",
        "real_distance",
        "generated_distance",
        "feature_distance",
    )
    for name, value in line.items():
        player, _, term = name.partition("/")
        if player in short and term not in monitors:
            parts.append(f"{short[player]} {term.replace('_', ' ')} {value:.4f}")
    return "  ".join(parts)

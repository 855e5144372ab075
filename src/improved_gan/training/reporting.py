"""Progress output: a bar on a terminal, elsewhere a line per report and at least one a minute; TensorBoard events."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from improved_gan.training.time_estimate import StepTimer, in_words

__all__ = ["Reporter", "cost", "say", "summary", "warn"]

_MAX_SILENCE = 60.0  # seconds without a line, where there is no terminal
_MIN_SECONDS_SHOWN = 5.0  # a shorter run gets no estimate of its duration


class Reporter:
    """Shows one run's progress; a context manager.

    Args:
        tensorboard: folder of the event files; None for none.
        total_steps: length of the whole run.
        first_step: the step to resume from; TensorBoard drops later events of the earlier start.
        console: where to print.
        where: the device in words: "this processor", "this GPU".
        clock: monotonic seconds.
    """

    def __init__(
        self,
        tensorboard: Path | None,
        *,
        total_steps: int,
        first_step: int,
        console: Console,
        where: str = "this processor",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._where, self._clock = console, where, clock
        self._timer = StepTimer(total_steps, first_step=first_step, clock=clock)
        self._last_line, self._cost_shown, self._losses = clock(), False, ""
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
        self._shown_warnings: set[str] = set()

    def __enter__(self) -> "Reporter":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        if self._events is not None:
            self._events.close()

    def advance(self, means: Callable[[], Mapping[str, float]] | None = None) -> None:
        """Count one step.

        Args:
            means: returns the terms by `network/name`, called only if a line is due; None shows those of the last
                report.
        """
        self._progress.advance(self._task)
        self._timer.step()
        each = self._timer.seconds_per_step()
        if each is None:
            return
        if not self._cost_shown:
            self._cost_shown = True
            left = self._timer.seconds_left() or 0.0
            if left >= _MIN_SECONDS_SHOWN:
                say(self._console, cost(left, each, self._where))
        # A step may be slow, so the line is printed if the next step would end after the minute.
        if not self._console.is_terminal and self._clock() - self._last_line + each >= _MAX_SILENCE:
            self._losses = self._losses if means is None else _losses(means())
            parts = [f"step {self._timer.done}/{self._timer.total}", self._losses, self._left()]
            self._line("  ".join(part for part in parts if part))

    def _left(self) -> str:
        left = self._timer.seconds_left()
        return f"about {in_words(left)} left" if left else ""

    def _line(self, text: str) -> None:
        self._last_line = self._clock()
        say(self._console, text)

    def report(self, line: Mapping[str, Any]) -> None:
        """Show one line of the log."""
        self._progress.update(self._task, summary=summary(line))
        if not self._console.is_terminal:
            self._losses = _losses(line)
            self._line("  ".join(part for part in (summary(line), self._left()) if part))
        for name, value in line.items():
            if "/" in name and self._events is not None:
                self._events.add_scalar(name, value, line["step"])
        for diagnostic in line["diagnostics"]:
            if diagnostic["name"] not in self._shown_warnings:
                warn(self._console, diagnostic["message"])
        self._shown_warnings = {diagnostic["name"] for diagnostic in line["diagnostics"]}

    def show_grid(self, image: Tensor, step: int) -> None:
        """Add a grid of samples (C, H, W) to the events."""
        if self._events is not None:
            self._events.add_image("samples/grid", image, step)


def _event_writer(folder: Path, first_step: int) -> Any:
    # The event writer's imports log at info level.
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    from torch.utils.tensorboard import SummaryWriter  # takes 1 s to import: only training needs it

    return SummaryWriter(str(folder), purge_step=first_step + 1)


def say(console: Console, text: str) -> None:
    """Print text verbatim: no markup, no line breaks."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def warn(console: Console, text: str) -> None:
    """Print text verbatim after "warning:"."""
    console.print("[yellow]warning:[/yellow]", escape(text), highlight=False, soft_wrap=True)


def summary(line: Mapping[str, Any]) -> str:
    """One report in one line: epoch, test error, and the losses of both networks.

    >>> report = {"epoch": 3, "epochs": 10, "test/error": 0.0123, "test/num_errors": 123}
    >>> summary({**report, "discriminator/supervised": 0.01})
    'epoch 3/10  test error 1.23% (123 wrong)  D supervised 0.0100'
    >>> summary({**report, "test/num_errors_without_average": 130})
    'epoch 3/10  test error 1.23% (123 wrong; 130 without average)'
    """
    parts = [f"epoch {line['epoch']}/{line.get('epochs', '?')}"]
    for kind in ("test", "validation"):
        if f"{kind}/error" in line:
            current = line.get(f"{kind}/num_errors_without_average")
            counts = f"{line.get(f'{kind}/num_errors', '?')} wrong"
            counts += "" if current is None else f"; {current} without average"
            parts.append(f"{kind} error {line[f'{kind}/error']:.2%} ({counts})")
    return "  ".join(part for part in (*parts, _losses(line)) if part)


def cost(seconds: float, each: float, where: str) -> str:
    """The expected duration of a training.

    >>> cost(21_600, 0.12, "this processor")
    'about 6 hours on this processor (120 ms a step)'
    """
    step = f"{each:.1f} s" if each >= 1 else f"{1000 * each:.0f} ms" if each >= 0.01 else f"{1000 * each:.1f} ms"
    return f"about {in_words(seconds)} on {where} ({step} a step)"


def _losses(line: Mapping[str, Any]) -> str:
    """The losses of both networks, without monitors."""
    short = {"discriminator": "D", "generator": "G"}
    monitors = (
        "labeled_error",
        "real_probability",
        "generated_probability",
        "accuracy",
        "real_distance",
        "generated_distance",
        "feature_distance",
    )
    shown = []
    for name, value in line.items():
        network, _, term = name.partition("/")
        if network in short and term not in monitors:
            shown.append(f"{short[network]} {term.replace('_', ' ')} {value:.4f}")
    return "  ".join(shown)

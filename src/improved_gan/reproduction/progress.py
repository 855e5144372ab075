"""Progress of all runs of a table: bars on a terminal, elsewhere lines at starts, ends and every ten minutes."""

import time
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from improved_gan.console import say, warn
from improved_gan.reproduction.job_status import read_status
from improved_gan.reproduction.plan import Job
from improved_gan.reproduction.run_subprocess import Outcome
from improved_gan.training.reporting import summary

__all__ = ["Display"]

_LOOK, _LINE = 1.0, 600.0  # seconds between reads of the run folders, and between lines without a terminal


class Display:
    """Shows a table's runs; a context manager and a `Watcher`.

    Args:
        jobs: every run of the table, done or not.
        console: where to print.
        after_each: called when a run has ended.
    """

    def __init__(
        self, jobs: Iterable[Job], console: Console, *, after_each: Callable[[], object] = lambda: None
    ) -> None:
        self._after_each = after_each
        self._epochs = {job: read_status(job).epoch for job in jobs}
        self._console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=600)
        total = sum(job.epochs for job in self._epochs)
        self._all = self._progress.add_task("all runs", total=total, completed=self._made(), note="")
        self._bars: dict[Job, TaskID] = {}
        self._last_look, self._last_line = 0.0, time.monotonic()

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def watch(self, running: Iterable[Job]) -> None:
        """Show the submitted runs; their folders are read once a second."""
        running = list(running)
        if time.monotonic() - self._last_look < _LOOK and all(job in self._bars for job in running):
            return
        self._last_look = time.monotonic()
        for job in running:
            if job not in self._bars:
                self._begin(job)
            run = read_status(job)
            self._epochs[job] = run.epoch
            self._progress.update(self._bars[job], completed=run.epoch, note=_short(run.report) or "starting")
        self._progress.update(self._all, completed=self._made(), note=f"{self._done()} of {len(self._epochs)} runs")
        self._line(running)

    def ended(self, outcome: Outcome) -> None:
        """Remove the run's bar and print how it ended."""
        run = read_status(outcome.job)
        self._epochs[outcome.job] = run.epoch
        if outcome.job in self._bars:
            self._progress.remove_task(self._bars.pop(outcome.job))
        name = f"{outcome.job.group.name}/{outcome.job.name}"
        if outcome.how == "failed":
            warn(self._console, f"{name} failed, the other runs continue: {outcome.message}")
        else:
            say(self._console, f"{name} {outcome.how}: {summary(run.report) if run.report else 'no report'}")
        self._after_each()

    def _begin(self, job: Job) -> None:
        name = f"{job.group.name}/{job.name}"
        first = read_status(job).epoch
        self._bars[job] = self._progress.add_task(name, total=job.epochs, completed=first, note="starting")
        if not self._console.is_terminal:
            say(self._console, f"{name} {f'continues after epoch {first}' if first else 'begins'}")

    def _line(self, running: list[Job]) -> None:
        if self._console.is_terminal or time.monotonic() - self._last_line < _LINE:
            return
        self._last_line = time.monotonic()
        now = "; ".join(f"{job.name} {_short(read_status(job).report) or 'starting'}" for job in running)
        say(self._console, f"{self._done()} of {len(self._epochs)} runs done; now {now}")

    def _made(self) -> int:
        return sum(self._epochs.values())

    def _done(self) -> int:
        return sum(epoch >= job.epochs for job, epoch in self._epochs.items())


def _short(report: dict[str, object]) -> str:
    """The start of a report's summary: epoch and test error."""
    return "  ".join(summary(report).split("  ")[:2]) if report else ""

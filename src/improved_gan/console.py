"""Messages and progress bars of the command line and of long work on images."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

__all__ = ["columns_of_images", "print_whole", "progress_bar", "say", "warn"]


def say(console: Console, text: str) -> None:
    """Print text verbatim: no markup, no line breaks."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def warn(console: Console, text: str) -> None:
    """Print text verbatim after "warning:"."""
    console.print("[yellow]warning:[/yellow]", escape(text), highlight=False, soft_wrap=True)


def print_whole(console: Console, table: Table) -> None:
    """Print a table; in a file or a pipe at its full width, where rich would replace digits by an ellipsis."""
    width = console.width
    if not console.is_terminal:
        console.width = max(width, console.measure(table, options=console.options.update(width=10_000)).maximum)
    try:
        console.print(table)
    finally:
        console.width = width


def columns_of_images() -> tuple[ProgressColumn, ...]:
    """Of a bar over images whose tasks have a field `rate`."""
    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("ETA"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )


@contextmanager
def progress_bar(what: str, *, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Gives a function to call with the number of images just finished.

    Args:
        what: a word before the bar, on stderr.
        total: number of images.
        done: how many of them an earlier start has done.

    >>> with progress_bar("decoding", total=3) as advance:
    ...     advance(3)
    """
    console = Console(stderr=True)
    with Progress(*columns_of_images(), console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(what, total=total, completed=done, rate="")
        started, finished = time.perf_counter(), 0

        def advance(num: int) -> None:
            nonlocal finished
            finished += num
            rate = finished / max(time.perf_counter() - started, 1e-9)
            progress.update(task, advance=num, rate=f"{rate:.0f} images/s")

        yield advance

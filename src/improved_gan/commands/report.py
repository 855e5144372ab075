"""`improved-gan report`: one HTML file about one run or several."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from improved_gan.commands.trust import trust_or_ask
from improved_gan.reports.comparison import named_runs
from improved_gan.reports.evaluate_run import gather
from improved_gan.reports.page import ShownRun, render
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.errors import RunError
from improved_gan.training.process_group import choose_device
from improved_gan.training.reporting import say, warn

__all__ = ["ReportOptions", "run_report"]


@dataclass(frozen=True)
class ReportOptions:
    """What the user asked for; the fields are the options of the command."""

    runs: list[Path]
    out: Path
    data: Path | None = None
    title: str | None = None
    folder_only: bool = False
    device: str | None = None
    threads: int | None = None
    trust: bool = False


def run_report(options: ReportOptions, console: Console) -> None:
    """Evaluate the runs and write the page.

    Raises:
        RunError: no such run, or `out` is no path for an HTML file; nothing is written.
    """
    if options.out.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"the report is an HTML file: give --out a name that ends in .html, not {options.out.name!r}")
    if options.out.is_dir():
        raise RunError(f"{options.out} is a folder: give --out another name")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    shown, trust = [], trust_or_ask(console, trust=options.trust)
    for run in named_runs(options.runs):
        evidence = None
        if not options.folder_only:
            evidence = gather(
                run,
                data_folder=options.data,
                device=device,
                say=partial(say, console),
                warn=partial(warn, console),
                trust=trust,
            )
            for reason in dict.fromkeys(evidence.missing.values()):
                say(console, f"{run.name}: some parts are missing: {reason}")
        shown.append(ShownRun(run, evidence))
    title = options.title or (shown[0].run.name if len(shown) == 1 else f"{len(shown)} runs side by side")
    page = render(shown, title=title, now=datetime.now(UTC)).encode()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, page, durable=False)
    say(console, f"{options.out}: {len(page) / 1e6:.1f} MB, one self-contained file; open it in a browser")

"""`improved-gan report`: one HTML file about one run or several."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from improved_gan.cli.options import argument, option
from improved_gan.cli.shared import data_option, device_option, threads_option, trust_option
from improved_gan.cli.trust import trust_or_ask

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ReportOptions", "report"]


@dataclass(frozen=True)
class ReportOptions:
    """The options of `report`."""

    runs: tuple[Path, ...] = argument(metavar="RUN", help="Run folders made by `train`.")
    out: Path = option(
        Path("report.html"), help="The HTML file to write; an existing file is replaced.", written="file"
    )
    data: Path | None = data_option("Folder with the data, as for `train`; nothing is downloaded.")
    title: str | None = option(None, help="Heading; default: the run's name.")
    log_only: bool = option(False, help="Use log and samples only: load no networks and no data.")
    device: str | None = device_option()
    trust: bool = trust_option()
    threads: int | None = threads_option()


def report(options: ReportOptions, console: "Console") -> None:
    """Write an HTML report about runs, finished or not: samples, curves, classifier, nearest images, settings.

    A part that is unavailable (no data found, no labels, no checkpoint yet) is replaced by the reason.

    Example: `improved-gan report runs/mnist-1 runs/mnist-2 --data DIR --out report.html`.
    """
    import torch

    from improved_gan.console import say, warn
    from improved_gan.io import write_atomically
    from improved_gan.reports.comparison import named_runs
    from improved_gan.reports.evaluate_run import gather
    from improved_gan.reports.page import ShownRun, render
    from improved_gan.training.errors import RunError
    from improved_gan.training.process_group import choose_device

    if options.out.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"the report is an HTML file: give --out a name that ends in .html, not {options.out.name!r}")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    shown, trust = [], trust_or_ask(console, trust=options.trust)
    for run in named_runs(list(options.runs)):
        evidence = None
        if not options.log_only:
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
    page = render(shown, title=title, now=datetime.now(UTC)).encode(errors="replace")  # a damaged log
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, page, durable=False)
    say(console, f"{options.out}: {len(page) / 1e6:.1f} MB, one self-contained file; open it in a browser")

"""Names and options of `improved-gan report`; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["report"]


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN ...", help="Run folders that `train` has made.")],
    out: Annotated[Path, typer.Option(help="The HTML file; an older report there is replaced.")] = Path("report.html"),
    data: Annotated[
        Path | None, typer.Option(help="Folder with the data, as for `train`; nothing is downloaded.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading; default: the run's name.")] = None,
    folder_only: Annotated[
        bool, typer.Option("--log-only", help="Neither load networks nor look for data: log and samples alone.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU where there is one.")
    ] = None,
    trust: TrustOption = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: PyTorch's choice.", min=1)] = None,
) -> None:
    """Write one HTML file about runs, finished or not: samples over time, curves, the classifier, copies, settings.

    What cannot be had (no data at hand, no labels, no checkpoint yet) is said in its place.

    Example: `improved-gan report runs/mnist-1 runs/mnist-2 --data DIR --out report.html`.
    """
    chosen = dict(locals())  # the parameters above are the fields of ReportOptions, by name
    from rich.console import Console

    from improved_gan.commands.report import ReportOptions, run_report

    run_report(ReportOptions(**chosen), Console())

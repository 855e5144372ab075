"""Names and options of `improved-gan report`; imports nothing slow."""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.trust import TrustOption

__all__ = ["report"]


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN ...", help="Run folders made by `train`.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write; an existing file is replaced.")] = Path(
        "report.html"
    ),
    data: Annotated[
        Path | None, typer.Option(help="Folder with the data, as for `train`; nothing is downloaded.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading; default: the run's name.")] = None,
    folder_only: Annotated[
        bool, typer.Option("--log-only", help="Use log and samples only: load no networks and no data.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU if there is one.")] = None,
    trust: TrustOption = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: PyTorch's choice.", min=1)] = None,
) -> None:
    """Write an HTML report about runs, finished or not: samples, curves, classifier, nearest images, settings.

    A part that is unavailable (no data found, no labels, no checkpoint yet) is replaced by the reason.

    Example: `improved-gan report runs/mnist-1 runs/mnist-2 --data DIR --out report.html`.
    """
    chosen = dict(locals())  # the parameters above are the fields of ReportOptions, by name
    from rich.console import Console

    from improved_gan.commands.report import ReportOptions, run_report

    run_report(ReportOptions(**chosen), Console())

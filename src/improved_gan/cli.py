"""The `improved-gan` command: names, options and exit codes; the implementations are in `commands`.

PyTorch takes a second to import, so each command imports what it needs when it runs, so that `--help` is fast.
"""

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from improved_gan import __version__
from improved_gan.commands.classify_options import classify
from improved_gan.commands.evaluate_options import evaluate
from improved_gan.commands.export_options import export
from improved_gan.commands.report_options import report
from improved_gan.commands.reproduce_arguments import ManyLabels, reproduce
from improved_gan.commands.sample_options import sample
from improved_gan.commands.train_arguments import OneRecipe, train
from improved_gan.commands.train_options import MAX_SEED
from improved_gan.commands.turing_test import app as turing_test_app

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["app", "main"]

app = typer.Typer(
    help="Improved Techniques for Training GANs (Salimans et al., 2016): classifiers from few labels, and samples.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(turing_test_app, name="turing-test")


RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder made by `train`.")]
DataFolder = Annotated[
    Path | None, typer.Option(help="Folder with the data; default: $IMPROVED_GAN_DATA, else a download.")
]
Precision = Annotated[
    str | None, typer.Option(help="float32, or bfloat16 for the forward passes; default: the recipe's.")
]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU if there is one.")]


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"improved-gan {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options of every command; `--version` is handled before any command runs."""


app.command(cls=OneRecipe)(train)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for run folders, images and results.json.")] = Path("runs/demo"),
    splits: Annotated[int, typer.Option("--num-splits", help="Number of label splits.", min=1)] = 3,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training; default: the recipe's.", min=1)] = None,
) -> None:
    """Train a GAN classifier with fifty labels and compare it with baselines: table, samples, curves; two minutes.

    Example: `improved-gan demo --out runs/demo`.
    """
    from improved_gan.commands.demo import run_demo

    run_demo(out, splits=splits, epochs=epochs, console=_console())


app.command(cls=ManyLabels)(reproduce)


app.command()(sample)


app.command()(classify)
app.command()(export)
app.command()(evaluate)
app.command()(report)


@app.command()
def theory(
    name: Annotated[str, typer.Argument(help="game, divergences, smoothed-discriminator or mode-collapse.")],
    out: Annotated[Path, typer.Option(help="Folder for the PNG and CSV files.")],
    seed: Annotated[int, typer.Option(help="Random seed.", min=0, max=MAX_SEED)] = 0,
) -> None:
    """Demonstrate one of the paper's claims: writes PNG and CSV files and a summary. Takes under a minute.

    Example: `improved-gan theory game --out theory`.
    """
    from improved_gan.commands.theory import run_theory

    run_theory(name, out=out, seed=seed, console=_console())


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 2 (1 for a failed run)."""
    try:
        app()
    except Exception as error:  # the errors' own modules import torch, so they are imported only here
        message, code = _expected(error)
        if message is None:
            raise
        one_line = " ".join(line.strip() for line in message.splitlines())  # a file's name may hold anything
        if one_line:
            typer.echo(f"improved-gan: {one_line}", err=True)
        sys.exit(code)


def _expected(error: Exception) -> tuple[str | None, int]:
    """Message and exit code of an error with a remedy for the user; (None, 1) for a bug."""
    from improved_gan.commands.theory import TheoryError
    from improved_gan.data import DataError
    from improved_gan.export.errors import ExportError
    from improved_gan.metrics import MetricError
    from improved_gan.recipes import RecipeError
    from improved_gan.training.errors import (
        DivergedError,
        InterruptedRunError,
        RankLostError,
        ReportedByOtherRankError,
        RunError,
    )
    from improved_gan.turing_test.errors import TuringTestError

    if isinstance(error, ReportedByOtherRankError):
        return "", error.exit_code
    if isinstance(error, InterruptedRunError):
        return str(error), 128 + error.signal_number
    if isinstance(error, (DataError, ExportError, MetricError, RecipeError, RunError, TheoryError, TuringTestError)):
        return str(error), 2
    if isinstance(error, (DivergedError, RankLostError)):
        return str(error), 1
    if isinstance(error, OSError) and error.strerror:  # a full disk, a folder that cannot be written
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "make room and run the same command again" if full else "give another path"
        return f"{error.strerror}: {error.filename or 'while writing'}: {remedy}", 1 if full else 2
    return None, 1


def _console() -> "Console":
    from rich.console import Console

    return Console()

"""The `improved-gan` command: its commands and exit codes.

PyTorch takes a second to import, so each command imports what it needs when it runs, so that `--help` is fast.
"""

import errno
import inspect
import io
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from improved_gan import __version__
from improved_gan.cli.classify import ClassifyOptions, classify
from improved_gan.cli.compare import CompareOptions, compare
from improved_gan.cli.demo import DemoOptions, demo
from improved_gan.cli.embed import EmbedOptions, embed
from improved_gan.cli.evaluate import EvaluateOptions
from improved_gan.cli.export import ExportOptions, export
from improved_gan.cli.options import CommandGroup, command
from improved_gan.cli.report import ReportOptions, report
from improved_gan.cli.reproduce import ReproduceOptions
from improved_gan.cli.sample import SampleOptions, sample
from improved_gan.cli.theory import TheoryError, TheoryOptions, theory
from improved_gan.cli.train import TrainOptions, train
from improved_gan.cli.train_folder import TrainFolderOptions, train_folder
from improved_gan.cli.turing_test import turing_test

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["app", "main"]


def _reproduce(options: ReproduceOptions, console: "Console") -> int:
    from improved_gan.cli.reproduction import reproduce  # it imports the options and torch

    return reproduce(options, console)


def _evaluate(options: EvaluateOptions, console: "Console") -> None:
    from improved_gan.cli.evaluation import run_evaluation

    run_evaluation(options, console)


app = CommandGroup(
    "improved-gan",
    help="Improved Techniques for Training GANs (Salimans et al., 2016): few-label classifiers, samples, evaluation.",
    no_args_is_help=True,
)
click.version_option(__version__, message="improved-gan %(version)s", help="Print the version and stop.")(app)

app.add_command(command("train", TrainOptions, train))
app.add_command(command("train-folder", TrainFolderOptions, train_folder))
app.add_command(command("embed", EmbedOptions, embed))
app.add_command(command("compare", CompareOptions, compare))
app.add_command(command("demo", DemoOptions, demo))
app.add_command(command("reproduce", ReproduceOptions, _reproduce, help=inspect.getdoc(ReproduceOptions)))
app.add_command(command("sample", SampleOptions, sample))
app.add_command(command("classify", ClassifyOptions, classify))
app.add_command(command("export", ExportOptions, export))
app.add_command(command("evaluate", EvaluateOptions, _evaluate, help=inspect.getdoc(EvaluateOptions)))
app.add_command(command("report", ReportOptions, report))
app.add_command(command("theory", TheoryOptions, theory))
app.add_command(turing_test)


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 2 (1 for a failed run)."""
    with suppress(OSError):  # it was opened as a file and is a pipe by now
        if isinstance(sys.stdout, io.TextIOWrapper):  # a character that it cannot encode must not end the work
            sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(app.main(standalone_mode=False))
    except click.ClickException as error:  # wrong usage
        error.show()
        sys.exit(error.exit_code)
    except click.Abort as error:
        sys.exit(130 if isinstance(error.__cause__, KeyboardInterrupt) else 1)
    except Exception as error:  # the errors' own modules import torch, so they are imported only here
        message, code = _expected(error)
        if message is None:
            raise
        one_line = " ".join(line.strip() for line in message.splitlines())  # a file's name may hold anything
        if one_line:
            click.echo(f"improved-gan: {one_line}", err=True)
        sys.exit(code)


def _expected(error: Exception) -> tuple[str | None, int]:
    """Message and exit code of an error with a remedy for the user; (None, 1) for a bug."""
    from improved_gan.turing_test.errors import TuringTestError

    if isinstance(error, TuringTestError):
        return str(error), 2
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":
        return "this command needs PyTorch, which is not installed: pip install improved-gan", 2
    if find_spec("torch") is None:  # the other errors' modules cannot have been imported
        return _of_system(error)
    from improved_gan.data.dataset import DataError
    from improved_gan.export.errors import ExportError
    from improved_gan.metrics.errors import MetricError
    from improved_gan.recipes import RecipeError
    from improved_gan.training.errors import (
        DivergedError,
        InterruptedRunError,
        RankLostError,
        ReportedByOtherRankError,
        RunError,
    )

    if isinstance(error, ReportedByOtherRankError):
        return "", error.exit_code
    if isinstance(error, InterruptedRunError):
        return str(error), 128 + error.signal_number
    if isinstance(error, (DataError, ExportError, MetricError, RecipeError, RunError, TheoryError)):
        return str(error), 1 if _is_full(error.__cause__) else 2
    if isinstance(error, (DivergedError, RankLostError)):
        return str(error), 1
    return _of_system(error)


def _is_full(error: BaseException | None) -> bool:
    """Whether it is that of a full disk or quota: the input was right, so the exit code is that of a failure."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _of_system(error: Exception) -> tuple[str | None, int]:
    """Message and exit code of a full disk or a folder that cannot be written; (None, 1) for another error."""
    if isinstance(error, OSError) and error.strerror:  # a full disk, a folder that cannot be written
        full = _is_full(error)
        remedy = "make room and run the same command again" if full else "give another path"
        return f"{error.strerror}: {error.filename or 'while writing'}: {remedy}", 1 if full else 2
    return None, 1

"""The `improved-gan` command: names, options and exit codes; what a command does is in `commands`.

PyTorch takes a second to import, so each command imports what it needs when it runs, and `--help` stays quick.
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
from improved_gan.commands.train_options import ChannelsLast, Compile, DataFolder, GeneratorSteps, MicroBatch, Precision
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

MAX_SEED = 2**32 - 1  # what NumPy takes

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `train` has made.")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU where there is one.")]


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
    """Options of every command; `version` is dealt with before any command runs."""


@app.command()
def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe's name, or the path of a Python file that defines recipe().")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Labelled images in all, the same number a class; `folder`: or a labels file, or 0."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides networks, batches and noise.", min=0, max=MAX_SEED)] = 1,
    split_seed: Annotated[
        int | None, typer.Option(help="Decides which images have labels; default: the seed.", min=0, max=MAX_SEED)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Length of the run; default: the recipe's.")] = None,
    data: DataFolder = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/RECIPE-LABELS-seedSEED.")] = None,
    device: DeviceOption = None,
    precision: Precision = None,
    generator_steps: GeneratorSteps = None,
    micro_batch: MicroBatch = None,
    compile_networks: Compile = None,
    channels_last: ChannelsLast = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: PyTorch's choice.", min=1)] = None,
    save_every: Annotated[float, typer.Option(help="Seconds between checkpoints.", min=0)] = 60.0,
    score_with: Annotated[
        str | None, typer.Option(help="Score samples: inception, a run folder, or module:function of your own.")
    ] = None,
    score_every: Annotated[int, typer.Option(help="Epochs between scores; 0: at the end alone.", min=0)] = 0,
    score_num: Annotated[int | None, typer.Option(help="How many samples are scored; default: 10,000.", min=1)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and stop.")] = False,
    images: Annotated[Path | None, typer.Option(help="`folder`: your images, a folder or archive.")] = None,
    num_labels: Annotated[
        int | None, typer.Option(help="`folder`: use only so many of the labels, balanced.", min=1)
    ] = None,
    size: Annotated[int | None, typer.Option(help="`folder`: 32, 64 or 128 pixels; default: by the images.")] = None,
    validation: Annotated[
        float | None, typer.Option(help="`folder`: share of the labelled images held out; default: 0.2.")
    ] = None,
    data_cache: Annotated[Path | None, typer.Option(help="`folder`: where decoded images are kept.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="`folder`: threads that decode; default: one a core.", min=1)
    ] = None,
    list_recipes: Annotated[bool, typer.Option("--list", help="Show the recipes with the paper's figures.")] = False,
) -> None:
    """Train a GAN by a recipe; the same command again continues a run that was stopped.

    Ctrl-C and SIGTERM finish the step and save. A run that continues ends with the same numbers as one that was never
    stopped (same machine, same threads). Several processes: `torchrun --nproc-per-node 2 -m improved_gan train ...`.

    Examples: `improved-gan train digits`, `improved-gan train mnist --labels 100 --data DIR --out runs/mnist`,
    `improved-gan train folder --images photos --labels labels.csv`.
    """
    if list_recipes:
        from improved_gan.commands.recipes import list_all

        list_all(_console())
        return
    if recipe is None:
        raise typer.BadParameter("name a recipe, or see `improved-gan train --list`", param_hint="RECIPE")
    from improved_gan.commands.train import TrainOptions, run_training
    from improved_gan.commands.train_folder import ImageOptions, labels_or_file

    num, labels_file = labels_or_file(labels, num_labels)
    run_training(
        TrainOptions(
            recipe=recipe,
            labels=num,
            seed=seed,
            split_seed=split_seed,
            epochs=epochs,
            data=data,
            out=out,
            device=device,
            precision=precision,
            generator_steps=generator_steps,
            micro_batch=micro_batch,
            compile=compile_networks,
            channels_last=channels_last,
            threads=threads,
            save_every=save_every,
            score_with=score_with,
            score_every=score_every,
            score_num=score_num,
            dry_run=dry_run,
            own=ImageOptions(images, labels_file, size, validation, data_cache, workers),
        ),
        _console(),
    )


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for runs, pictures and results.json.")] = Path("runs/demo"),
    splits: Annotated[int, typer.Option(help="Number of label splits.", min=1)] = 3,
    epochs: Annotated[int | None, typer.Option(help="Length of each training; default: the recipe's.", min=1)] = None,
) -> None:
    """See a GAN turn fifty labels into a classifier, beside other methods: a table, samples and curves in two minutes.

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
    seed: Annotated[int, typer.Option(help="Of everything that is drawn at random.", min=0, max=MAX_SEED)] = 0,
) -> None:
    """Watch one of the paper's claims: writes PNG and CSV files and says what to see. Each takes under a minute.

    Example: `improved-gan theory game --out theory`.
    """
    from improved_gan.commands.theory import run_theory

    run_theory(name, out=out, seed=seed, console=_console())


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 2 (1 for a failed run)."""
    try:
        app()
    except Exception as error:  # the errors' own modules import torch, so they are looked up only here
        message, code = _expected(error)
        if message is None:
            raise
        one_line = " ".join(line.strip() for line in message.splitlines())  # a file's name may hold anything
        if one_line:
            typer.echo(f"improved-gan: {one_line}", err=True)
        sys.exit(code)


def _expected(error: Exception) -> tuple[str | None, int]:
    """The one line and the exit code of an error that the user can do something about; (None, 1) for a bug."""
    from improved_gan.commands.theory import TheoryError
    from improved_gan.data import DataError
    from improved_gan.export.errors import ExportError
    from improved_gan.metrics import MetricError
    from improved_gan.recipes import RecipeError
    from improved_gan.training.errors import (
        DivergedError,
        InterruptedRunError,
        LostProcessError,
        RunError,
        ToldElsewhereError,
    )
    from improved_gan.turing_test.errors import TuringTestError

    if isinstance(error, ToldElsewhereError):
        return "", error.exit_code
    if isinstance(error, InterruptedRunError):
        return str(error), 128 + error.signal_number
    if isinstance(error, (DataError, ExportError, MetricError, RecipeError, RunError, TheoryError, TuringTestError)):
        return str(error), 2
    if isinstance(error, (DivergedError, LostProcessError)):
        return str(error), 1
    if isinstance(error, OSError) and error.strerror:  # a full disk, a folder that cannot be written
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "make room and run the same command again" if full else "give another path"
        return f"{error.strerror}: {error.filename or 'while writing'}: {remedy}", 1 if full else 2
    return None, 1


def _console() -> "Console":
    from rich.console import Console

    return Console()

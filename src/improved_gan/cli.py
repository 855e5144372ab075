"""The `improved-gan` command: names, options and exit codes; what a command does is in `commands`.

PyTorch takes a second to import, so each command imports what it needs when it runs, and `--help` stays quick.
"""

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from improved_gan import __version__
from improved_gan.commands.evaluate_options import evaluate
from improved_gan.commands.folder_options import (
    DataCache,
    Images,
    Labels,
    NumLabels,
    RecipeName,
    Size,
    SplitSeed,
    Validation,
    Workers,
)
from improved_gan.commands.reproduce_arguments import ManyLabels, reproduce
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
DataFolder = Annotated[Path | None, typer.Option(help="Folder with the data; else IMPROVED_GAN_DATA, else a download.")]
Precision = Annotated[
    str | None, typer.Option(help="float32, or bfloat16 for the forward passes; default: the recipe's.")
]
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
    recipe: RecipeName = None,
    labels: Labels = None,
    seed: Annotated[int, typer.Option(help="Decides networks, batches and noise.", min=0, max=MAX_SEED)] = 1,
    split_seed: SplitSeed = None,
    epochs: Annotated[int | None, typer.Option(help="Length of the run; default: the recipe's.")] = None,
    data: DataFolder = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/RECIPE-LABELS-seedSEED.")] = None,
    device: DeviceOption = None,
    precision: Precision = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: PyTorch's choice.", min=1)] = None,
    save_every: Annotated[float, typer.Option(help="Seconds between checkpoints.", min=0)] = 60.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and stop.")] = False,
    images: Images = None,
    num_labels: NumLabels = None,
    size: Size = None,
    validation: Validation = None,
    data_cache: DataCache = None,
    workers: Workers = None,
    list_recipes: Annotated[bool, typer.Option("--list", help="Show the recipes with the paper's figures.")] = False,
) -> None:
    """Train a GAN by a recipe; the same command again continues a run that was stopped.

    Ctrl-C and SIGTERM finish the step and save. A run that continues ends with the same numbers as one that was never
    stopped (same machine, same threads).

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
            threads=threads,
            save_every=save_every,
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


@app.command()
def sample(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="New or empty folder: images/*.png and grid.png.")],
    num: Annotated[int, typer.Option(help="How many images.", min=1)] = 100,
    seed: Annotated[
        int, typer.Option(help="Decides the latents: the same seed gives the same images.", min=0, max=MAX_SEED)
    ] = 0,
    device: DeviceOption = None,
) -> None:
    """Make images with a trained generator: single PNGs and a grid.

    Example: `improved-gan sample runs/demo/gan-split-1 --num 1000 --out samples`.
    """
    from improved_gan.commands.sample import run_sampling

    run_sampling(run, num=num, out=out, seed=seed, device=device, console=_console())


@app.command()
def classify(
    run: RunArgument,
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    fit: Annotated[
        bool, typer.Option("--fit", help="Convert the mode and scale to the size that the run was trained on.")
    ] = False,
    invert: Annotated[bool, typer.Option("--invert", help="Swap dark and light (scans of ink for MNIST).")] = False,
    device: DeviceOption = None,
) -> None:
    """Classify images with a trained run: label, probability of each class, and how real each image looks.

    An image that cannot be used is reported, the others are done, and the exit code is 1.

    Example: `improved-gan classify runs/mnist scans/ --fit --invert --out labels.csv`.
    """
    from improved_gan.commands.classify import run_classification

    if run_classification(run, images, out=out, fit=fit, invert=invert, device=device, console=_console()):
        raise typer.Exit(1)


app.command()(evaluate)


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
        typer.echo(f"improved-gan: {one_line}", err=True)
        sys.exit(code)


def _expected(error: Exception) -> tuple[str | None, int]:
    """The one line and the exit code of an error that the user can do something about; (None, 1) for a bug."""
    from improved_gan.commands.theory import TheoryError
    from improved_gan.data import DataError
    from improved_gan.metrics import MetricError
    from improved_gan.recipes import RecipeError
    from improved_gan.training.errors import DivergedError, InterruptedRunError, RunError
    from improved_gan.turing_test.errors import TuringTestError

    if isinstance(error, InterruptedRunError):
        return str(error), 128 + error.signal_number
    if isinstance(error, (DataError, MetricError, RecipeError, RunError, TheoryError, TuringTestError)):
        return str(error), 2
    if isinstance(error, DivergedError):
        return str(error), 1
    if isinstance(error, OSError) and error.strerror:  # a full disk, a folder that cannot be written
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "make room and run the same command again" if full else "give another path"
        return f"{error.strerror}: {error.filename or 'while writing'}: {remedy}", 1 if full else 2
    return None, 1


def _console() -> "Console":
    from rich.console import Console

    return Console()

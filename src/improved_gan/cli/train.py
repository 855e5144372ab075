"""`improved-gan train`: start a run, or continue it where it stopped."""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from improved_gan.cli.options import argument, option, options_of
from improved_gan.cli.shared import TrainingOptions, data_option

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["TrainOptions", "train"]


_INDENT = "    "


@dataclass(frozen=True)
class TrainOptions:
    """The options of `train`."""

    recipe: str | None = argument(None, help="Name of a recipe, or path of a Python file that defines recipe().")
    labels: int | None = option(None, help="Total number of labels, balanced over the classes; default: the recipe's.")
    data: Path | None = data_option()
    training: TrainingOptions = options_of(TrainingOptions)
    num_models: int = option(
        1, help="Train N models with different seeds at once (torch.func.vmap); run folders in --out.", min=1
    )
    list: bool = option(False, help="List the recipes with the paper's results.")

    def __post_init__(self) -> None:
        if self.recipe is None and not self.list:
            raise click.BadParameter("name a recipe, or see `improved-gan train --list`", param_hint="RECIPE")


def train(options: TrainOptions, console: "Console") -> None:
    """Train a recipe; the same command continues a run that was stopped.

    On Ctrl-C and SIGTERM the step is finished and a checkpoint saved. A resumed run gives the same numbers as an
    uninterrupted one (same machine, same threads). Several processes:
    `torchrun --nproc-per-node 2 -m improved_gan train ...`. For your own images see `train-folder`.

    Examples: `improved-gan train digits`, `improved-gan train mnist --labels 100 --data DIR --out runs/mnist`.
    """
    if options.recipe is None or options.list:
        _list_recipes(console)
        return
    from improved_gan.cli.training import run_training

    run_training(
        options.recipe,
        options.training,
        console,
        labels=options.labels,
        data=options.data,
        num_models=options.num_models,
    )


def _list_recipes(console: "Console") -> None:
    """Print a paragraph for each recipe: its summary, and the paper's result for each label budget."""
    from improved_gan.console import say
    from improved_gan.recipes import LABEL_CHOICES, RECIPES

    say(console, "name, epochs and summary; below, for each number of labels, the paper's result")
    for name, build in RECIPES.items():
        recipes = [build(labels) for labels in LABEL_CHOICES.get(name, (None,))]
        console.print()
        console.print(f"[bold]{name}[/bold], {recipes[0].epochs} epochs", highlight=False)
        budgets = ["all labels" if one.labels_as_given else f"{one.num_labels} labels" for one in recipes]
        papers = [f"{budget}: {one.paper}" for budget, one in zip(budgets, recipes, strict=True)]
        for text in (recipes[0].summary, *papers):
            for line in textwrap.wrap(
                text, console.width, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
            ):
                say(console, line)

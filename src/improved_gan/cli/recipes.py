"""`improved-gan train --list`: the recipes with the paper's results."""

import textwrap

from rich.console import Console

from improved_gan.recipes import LABEL_CHOICES, RECIPES
from improved_gan.training.reporting import say

__all__ = ["list_all"]

_INDENT = "    "


def list_all(console: Console) -> None:
    """Print a paragraph for each recipe: its summary, and the paper's result for each label budget."""
    say(console, "name, epochs and summary; below, for each number of labels, the paper's result")
    for name, build in RECIPES.items():
        recipes = [build(labels) for labels in LABEL_CHOICES.get(name, (None,))]
        console.print()
        console.print(f"[bold]{name}[/bold], {recipes[0].epochs} epochs", highlight=False)
        _print(recipes[0].summary, console)
        for recipe in recipes:
            budget = "all labels" if recipe.labels_as_given else f"{recipe.num_labels} labels"
            _print(f"{budget}: {recipe.paper}", console)


def _print(text: str, console: Console) -> None:
    for line in textwrap.wrap(
        text, console.width, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
    ):
        say(console, line)

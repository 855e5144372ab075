"""`improved-gan train --list`: the recipes with the paper's figures beside."""

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from improved_gan.recipes import LABEL_CHOICES, RECIPES
from improved_gan.training.reporting import say

__all__ = ["list_all"]

_INDENT = 4


def list_all(console: Console) -> None:
    """Print a paragraph a recipe: what it is, and below it the paper's figure for each label budget."""
    say(console, "name, length and what it is; below, by number of labels, the paper's figure")
    for name, build in RECIPES.items():
        recipes = [build(labels) for labels in LABEL_CHOICES.get(name, (None,))]
        console.print()
        console.print(f"[bold]{name}[/bold], {recipes[0].epochs} epochs", highlight=False)
        console.print(Padding(escape(recipes[0].summary), (0, 0, 0, _INDENT)), highlight=False)
        for recipe in recipes:
            budget = "all labels" if recipe.labels_as_given else f"{recipe.num_labels} labels"
            console.print(Padding(f"{budget}: {escape(recipe.paper)}", (0, 0, 0, _INDENT)), highlight=False)

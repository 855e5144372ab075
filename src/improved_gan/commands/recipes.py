"""`improved-gan train --list`: the recipes with the paper's figures beside."""

from rich.console import Console
from rich.table import Column, Table

from improved_gan.recipes import LABEL_CHOICES, RECIPES

__all__ = ["list_all"]


def list_all(console: Console) -> None:
    """Print one row a recipe and label budget."""
    name_column = Column("recipe", min_width=max(map(len, RECIPES)))  # names are to be typed: never cut one
    table = Table(name_column, "labels", "epochs", "paper", "what it is", box=None, pad_edge=False)
    for name, build in RECIPES.items():
        for labels in LABEL_CHOICES.get(name, (None,)):
            recipe = build(labels)
            num_labels = "all" if recipe.labels_as_given else str(recipe.num_labels)
            table.add_row(name, num_labels, str(recipe.epochs), recipe.paper, recipe.summary)
    console.print(table)

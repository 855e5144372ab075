"""Check whether an existing run folder belongs to a table's run."""

import json
from dataclasses import replace
from pathlib import Path

from improved_gan.recipes.recipe import AUTO, Recipe
from improved_gan.training.errors import RunError
from improved_gan.training.run_folder import DESCRIPTIVE_FIELDS, RunFolder

__all__ = ["check_same_run"]


def check_same_run(path: Path, recipe: Recipe, *, seed: int, split_seed: int) -> None:
    """Check that a run folder, if it exists, holds this run.

    Args:
        path: the run folder.
        recipe: recipe of the run, with its epochs.
        seed: training seed.
        split_seed: seed of the label split.

    Raises:
        RunError: it holds another run.
    """
    folder = RunFolder(path)
    if not folder.recipe_file.exists():
        return
    settings = folder.trained_recipe()["settings"]
    if recipe.precision == AUTO:  # a run that continues keeps the precision that its machine chose
        recipe = replace(recipe, precision=folder.precision() or AUTO)
    here = json.loads(json.dumps(recipe.as_dict()))
    wanted = {"recipe": recipe.name, "seed": seed, "split seed": split_seed, "labels": recipe.num_labels}
    split = settings["label_split"]
    found = {name: settings[name] for name in ("recipe", "seed")}
    found |= {"split seed": split["seed"], "labels": split["num_labels"]}
    # A value that is newer than the run was at its default then; load_trained compares alike.
    values = {name: value for name, value in settings["values"].items() if name not in DESCRIPTIVE_FIELDS}
    found |= values
    wanted |= {name: here.get(name) for name in values}
    if settings["epochs"] > recipe.epochs or (recipe.lr_decay_fraction and settings["epochs"] != recipe.epochs):
        found, wanted = {**found, "epochs": settings["epochs"]}, {**wanted, "epochs": recipe.epochs}
    if different := [f"{name}: {found[name]} there" for name in found if found[name] != wanted[name]]:
        raise RunError(f"{path} holds another run ({'; '.join(different)[:300]}): give another --out")

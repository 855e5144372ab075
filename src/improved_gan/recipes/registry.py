"""Recipes by name, or from a Python file."""

import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from improved_gan.recipes import RECIPES
from improved_gan.recipes.recipe import Recipe, RecipeError

__all__ = ["built_in", "find_recipe", "from_code"]

_OWN_MODULE = "improved_gan_own_recipe"


def find_recipe(name: str, *, labels: int | None = None) -> Recipe:
    """The recipe of that name, or from that file (a path that ends in .py and defines `recipe(labels=None)`).

    Args:
        name: a name of `RECIPES`, or a path.
        labels: the number of labels; None for the recipe's default.

    Raises:
        RecipeError: no such recipe (the message has the nearest names), or a file that defines none, or one with
            another number of labels.

    >>> find_recipe("mnist", labels=20).paper
    '1677 ± 452 of 10,000 wrong'
    """
    if not name.endswith(".py"):
        return built_in(name, labels=labels)
    path = Path(name)
    if not path.is_file():
        raise RecipeError(f"there is no recipe file {path}")
    recipe = from_code(path.read_bytes(), path, labels=labels)
    if labels not in (None, recipe.num_labels):  # a table would show it as the result of that many labels
        raise RecipeError(
            f"recipe(labels={labels}) in {path} returned a recipe with {recipe.num_labels} labels: let it use its "
            "argument, or ask for no number of labels"
        )
    return recipe


def built_in(name: str, *, labels: int | None = None) -> Recipe:
    """The built-in recipe of that name; never a file.

    Raises:
        RecipeError: no such recipe; the message has the nearest names.
    """
    if name not in RECIPES:
        if name == "folder":
            raise RecipeError("your own images have a command: improved-gan train-folder --images DIR")
        if Path(name).is_dir():
            raise RecipeError(_a_folder(Path(name)))
        nearest = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"there are {', '.join(RECIPES)}."
        raise RecipeError(f"no recipe is called {name!r}: {hint} A file of your own is given by its path (*.py)")
    return RECIPES[name](labels)


def _a_folder(path: Path) -> str:
    """The error for a folder in place of a recipe, with what was probably meant."""
    if (path / "recipe.json").is_file():
        return f"{path} is a run folder, not a recipe: to resume it repeat its command, train RECIPE --out {path}"
    return f"{path} is a folder, not a recipe: to train on the images in it, train-folder --images {path}"


def from_code(content: bytes, path: Path, *, labels: int | None) -> Recipe:
    """The recipe that `recipe(labels)` of a recipe file returns; the content is executed.

    Args:
        content: of the file, as it was read (and hashed) once.
        path: of the file, for its errors.
        labels: the number of labels; None for the recipe's default.

    Raises:
        RecipeError: it cannot be run, has no such function, or the function returns no Recipe.
    """
    # One module name for all recipe files: qualified names do not depend on the path of the file.
    module = ModuleType(_OWN_MODULE)
    module.__file__ = str(path)
    sys.modules[_OWN_MODULE] = module  # dataclasses look their module up there
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)
    except Exception as error:
        raise RecipeError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    build: Callable[[int | None], object] | None = getattr(module, "recipe", None)
    if not callable(build):
        raise RecipeError(f"{path} defines no function `recipe(labels=None)` that returns a Recipe")
    try:
        recipe = build(labels)
    except Exception as error:
        raise RecipeError(f"recipe(labels={labels}) in {path} failed: {type(error).__name__}: {error}") from error
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"recipe() in {path} returned {type(recipe).__name__}, not a Recipe")
    return recipe

"""Recipes by name, or from a Python file of one's own."""

import difflib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from improved_gan.recipes import RECIPES
from improved_gan.recipes.recipe import Recipe, RecipeError

__all__ = ["find_recipe", "from_file"]

_OWN_MODULE = "improved_gan_own_recipe"


def find_recipe(name: str, *, labels: int | None = None) -> Recipe:
    """The recipe of that name, or from that file (a path that ends in .py and defines `recipe(labels=None)`).

    Args:
        name: a name of `RECIPES`, or a path.
        labels: the budget; None for the recipe's own.

    Raises:
        RecipeError: no such recipe (the nearest names are given), or a file that gives none.

    >>> find_recipe("mnist", labels=20).paper
    '1677 ± 452 of 10,000 wrong'
    """
    recipe = from_file(Path(name), labels) if name.endswith(".py") else _by_name(name)(labels)
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"{name} gave {type(recipe).__name__} where a Recipe was expected")
    return recipe


def _by_name(name: str) -> Callable[[int | None], Recipe]:
    if name not in RECIPES:
        nearest = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"there are {', '.join(RECIPES)}."
        raise RecipeError(f"no recipe is called {name!r}: {hint} A file of your own is given by its path (*.py)")
    return RECIPES[name]


def from_file(path: Path, labels: int | None) -> object:
    """What `recipe(labels)` of that file returns; the file is executed.

    Raises:
        RecipeError: no such file, or one that cannot be run or has no such function.
    """
    if not path.is_file():
        raise RecipeError(f"there is no recipe file {path}")
    # One name for every such file: what it defines is then called the same wherever the file lies.
    spec = importlib.util.spec_from_file_location(_OWN_MODULE, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_OWN_MODULE] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RecipeError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    build: Callable[[int | None], object] | None = getattr(module, "recipe", None)
    if not callable(build):
        raise RecipeError(f"{path} defines no function `recipe(labels=None)` that returns a Recipe")
    try:
        return build(labels)
    except Exception as error:
        raise RecipeError(f"recipe(labels={labels}) in {path} failed: {type(error).__name__}: {error}") from error

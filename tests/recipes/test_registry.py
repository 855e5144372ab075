from pathlib import Path

import pytest

from improved_gan.recipes import RecipeError
from improved_gan.recipes.registry import find_recipe

OWN = """
from dataclasses import replace
from improved_gan.recipes import digits

def recipe(labels=None):
    return replace(digits(labels), name="mine", epochs=3)
"""


def test_by_name_with_num_labels() -> None:
    assert find_recipe("mnist", labels=50).num_labels == 50
    assert find_recipe("digits").num_labels == 50


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minst", "did you mean mnist"),
        ("digit", "did you mean digits"),
        ("xyz", "there are digits, digits-supervised, mnist."),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        find_recipe(name)


def test_a_recipe_file(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    recipe = find_recipe(str(tmp_path / "own.py"), labels=20)
    assert (recipe.name, recipe.epochs, recipe.num_labels) == ("mine", 3, 20)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", r"defines no function `recipe\(labels=None\)`"),
        ("def recipe(labels=None): return 5", "returned int, not a Recipe"),
        ("def recipe(:", "cannot be run: SyntaxError"),
        ("def recipe(): return 5", "failed: TypeError"),
        ("def recipe(labels=None): return 1 / 0", "failed: ZeroDivisionError"),
        ("import nothing_of_that_name", "cannot be run: ModuleNotFoundError"),
    ],
)
def test_a_bad_recipe_file(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "own.py").write_text(content)
    with pytest.raises(RecipeError, match=message):
        find_recipe(str(tmp_path / "own.py"))
    with pytest.raises(RecipeError, match="no recipe file"):
        find_recipe(str(tmp_path / "missing.py"))


def test_a_recipe_file_that_ignores_the_number_of_labels_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("from improved_gan.recipes import digits\ndef recipe(labels=None):\n    return digits(50)")
    assert find_recipe(str(file)).num_labels == find_recipe(str(file), labels=50).num_labels == 50
    with pytest.raises(RecipeError, match=r"recipe\(labels=100\) in .* returned a recipe with 50 labels"):
        find_recipe(str(file), labels=100)

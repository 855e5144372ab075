import io

from rich.console import Console

from improved_gan.commands.recipes import list_all
from improved_gan.recipes import RECIPES


def test_every_recipe_has_a_row_with_the_papers_figure() -> None:
    screen = io.StringIO()
    list_all(Console(file=screen, width=200))
    lines = screen.getvalue().splitlines()
    assert sum(line.startswith("mnist ") for line in lines) == 4
    assert any(line.startswith("cifar10-samples-no-minibatch-features ") and "3.87" in line for line in lines)
    assert any(line.startswith("mnist") and " 100 " in line and "93 ± 6.5 of 10,000 wrong" in line for line in lines)
    assert any(line.startswith("digits") and " 50 " in line for line in lines)


def test_no_name_is_cut_on_a_narrow_screen() -> None:
    screen = io.StringIO()
    list_all(Console(file=screen, width=80))
    first = {line.split(" ")[0] for line in screen.getvalue().splitlines()}
    assert set(RECIPES) <= first

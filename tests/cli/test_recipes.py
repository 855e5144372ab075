import io

import pytest
from rich.console import Console

from improved_gan.cli.recipes import list_all
from improved_gan.recipes import RECIPES


def paragraphs(width: int) -> dict[str, list[str]]:
    """The lines below each recipe's name, whole however they were broken."""
    screen = io.StringIO()
    list_all(Console(file=screen, width=width))
    _, *blocks = screen.getvalue().split("\n\n")
    return {block.split(",")[0]: [line.strip() for line in block.splitlines()] for block in blocks}


def test_every_recipe_has_what_it_is_and_the_papers_figures() -> None:
    found = paragraphs(200)
    assert list(found) == list(RECIPES)
    assert found["mnist"] == [
        "mnist, 300 epochs",
        RECIPES["mnist"](None).summary,
        "20 labels: 1677 ± 452 of 10,000 wrong",
        "50 labels: 221 ± 136 of 10,000 wrong",
        "100 labels: 93 ± 6.5 of 10,000 wrong",
        "200 labels: 90 ± 4.2 of 10,000 wrong",
    ]
    assert any("3.87" in line for line in found["cifar10-samples-no-minibatch-features"])


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_screen_breaks_lines_and_loses_nothing(width: int) -> None:
    narrow, wide = paragraphs(width), paragraphs(400)
    assert list(narrow) == list(wide)
    assert {name: " ".join(lines) for name, lines in narrow.items()} == {n: " ".join(x) for n, x in wide.items()}
    assert max(len(line) for lines in narrow.values() for line in lines) <= width

import io
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from improved_gan.cli import app, training
from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.train import _list_recipes
from improved_gan.recipes import RECIPES


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the training is asked for."""
    seen: list[Any] = []
    monkeypatch.setattr(training, "run_training", lambda name, options, _, **more: seen.append((name, options, more)))
    return seen


def test_the_options_reach_the_training(asked: list[Any]) -> None:
    words = "mnist --labels 200 --split-seed 4 --data d --out o --compile --save-every 7 --num-models 2 -n"
    assert CliRunner().invoke(app, ["train", *words.split()]).exit_code == 0
    options = TrainingOptions(split_seed=4, out=Path("o"), compile=True, save_every=7.0, dry_run=True)
    assert asked == [("mnist", options, {"labels": 200, "data": Path("d"), "num_models": 2})]


def test_a_recipe_is_needed(asked: list[Any]) -> None:
    done = CliRunner().invoke(app, ["train"])
    assert (done.exit_code, asked) == (2, [])
    assert "name a recipe" in done.output


def paragraphs(width: int) -> dict[str, list[str]]:
    """The lines below each recipe's name, whole however they were broken."""
    screen = io.StringIO()
    _list_recipes(Console(file=screen, width=width))
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

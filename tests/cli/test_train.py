from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from improved_gan.cli import app, training


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the training is asked for."""
    seen: list[Any] = []
    monkeypatch.setattr(training, "run_training", lambda options, console: seen.append(options))
    return seen


def test_the_options_reach_the_training(asked: list[Any]) -> None:
    words = "mnist --labels 200 --split-seed 4 --data d --out o --compile --save-every 7 --num-models 2 -n"
    assert CliRunner().invoke(app, ["train", *words.split()]).exit_code == 0
    assert asked == [
        training.TrainOptions("mnist", labels=200, split_seed=4, data=Path("d"), out=Path("o"), compile=True,
                              save_every=7.0, models=2, dry_run=True)
    ]  # fmt: skip


def test_a_recipe_is_needed(asked: list[Any]) -> None:
    done = CliRunner().invoke(app, ["train"])
    assert (done.exit_code, asked) == (2, [])
    assert "name a recipe" in done.output

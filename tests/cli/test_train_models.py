import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import run_training
from improved_gan.recipes import RecipeError
from improved_gan.training.errors import RunError


def go(out: Path, recipe: str = "digits", num_models: int = 2, **changes: object) -> str:
    screen = io.StringIO()
    options = TrainingOptions(**{"epochs": 1, "threads": 1, "device": "cpu", "out": out, **changes})
    run_training(recipe, options, Console(file=screen, width=250), num_models=num_models)
    return screen.getvalue()


def test_it_says_how_many_and_where(tmp_path: Path) -> None:
    text = go(tmp_path / "out", seed=3, split_seed=5)
    assert f"2 models trained at once; run folders in {tmp_path / 'out'}" in text
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["split-5-seed-1003", "split-5-seed-3"]
    assert text.count("done: epoch 1/1") == 2


def test_a_recipe_file_is_kept_with_each(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from improved_gan.recipes import digits as recipe\n")
    go(tmp_path / "out", recipe=str(file))
    kept = sorted((tmp_path / "out").glob("*/recipe.py"))
    assert [path.read_text() for path in kept] == [file.read_text()] * 2


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert "nothing was trained or written" in go(tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_another_run_is_refused(tmp_path: Path) -> None:
    go(tmp_path)
    before = json.loads((tmp_path / "split-1-seed-1" / "recipe.json").read_text())
    with pytest.raises(RunError, match="epochs: 1 there"):
        go(tmp_path, epochs=2, num_models=3)
    assert not (tmp_path / "split-1-seed-2001").exists()
    assert json.loads((tmp_path / "split-1-seed-1" / "recipe.json").read_text()) == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"micro_batch": 10}, "micro-batches"),
        ({"eval_network": "inception-2015"}, "scores while training"),
        ({"compile": True}, "compiled networks"),
        ({"eval_samples": 5}, "scores while training"),
        ({"seed": 2**32 - 1000}, "the last seed would be 4294967296"),
    ],
)
def test_what_cannot_be_trained_together_is_told_before_anything_is_written(
    tmp_path: Path, changes: dict, reason: str
) -> None:
    with pytest.raises(RecipeError, match=reason):
        go(tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_networks_that_vmap_cannot_map_are_told_before_anything_is_written(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\n"
        "from improved_gan.networks import DenseDiscriminator\n"
        "from improved_gan.recipes import digits\n"
        "class Mine(DenseDiscriminator):\n"
        "    def forward(self, images):\n"
        "        return super().forward(images * 2 if images.max() > 5 else images)\n"
        "def recipe(labels=None):\n"
        "    return replace(digits(labels), name='mine', discriminator=lambda: Mine((1, 8, 8), 10, hidden=(20,)))\n"
    )
    with pytest.raises(RecipeError, match=r"cannot be trained at once \(vmap.*--no-vmap"):
        go(tmp_path / "out", recipe=str(file))
    assert not (tmp_path / "out").exists()

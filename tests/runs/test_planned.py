"""Whether a folder holds the run of a table, checked before the data are loaded."""

from dataclasses import replace
from pathlib import Path

import pytest

from improved_gan.recipes import RECIPES, Recipe, digits
from improved_gan.reproduction.plan import RunOptions
from improved_gan.runs import Run
from improved_gan.training.errors import RunError
from tests.reproduction.jobs import fill, plan


def test_no_folder_holds_no_other_run(tmp_path: Path) -> None:
    Run(tmp_path / "nowhere").check_planned(digits(), seed=1, split_seed=1)
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_holds_another_run_is_refused_before_anything_starts(tmp_path: Path) -> None:
    fill(plan(tmp_path).all_jobs()[0], wrong=3)
    assert plan(tmp_path)
    with pytest.raises(RunError, match=r"holds another run \(precision: float32 there\)"):
        plan(tmp_path, options=RunOptions(epochs=2, precision="bfloat16"))
    with pytest.raises(RunError, match="epochs: 2 there"):
        plan(tmp_path, options=RunOptions(epochs=3))


def test_a_run_whose_precision_the_machine_decided_goes_on(tmp_path: Path, monkeypatch) -> None:
    def mine(labels: int | None = None) -> Recipe:
        return replace(digits(labels), precision="auto")

    monkeypatch.setitem(RECIPES, "digits", mine)
    fill(plan(tmp_path).all_jobs()[0], wrong=3)  # it says float32
    assert plan(tmp_path)
    with pytest.raises(RunError, match=r"holds another run \(precision: float32 there\)"):
        plan(tmp_path, options=RunOptions(epochs=2, precision="bfloat16"))


def test_a_recipe_that_is_only_worded_anew_goes_on(tmp_path: Path, monkeypatch) -> None:
    fill(plan(tmp_path).all_jobs()[0], wrong=3)
    monkeypatch.setitem(RECIPES, "digits", lambda labels: replace(digits(labels), summary="anew", paper="none"))
    assert plan(tmp_path)
    monkeypatch.setitem(RECIPES, "digits", lambda labels: replace(digits(labels), learning_rate=0.1))
    with pytest.raises(RunError, match="learning_rate"):
        plan(tmp_path)

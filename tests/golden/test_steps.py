"""Twenty steps of training against golden logs. A refactor may not change them.

If a change of the log is intended, write it anew and say why in the commit: `python -m tests.golden.test_steps`.
"""

import io
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from rich.console import Console

from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import train_recipe
from improved_gan.recipes import Recipe
from improved_gan.runs import Run
from improved_gan.training import SemiSupervised
from tests.golden.recipes import golden_recipe, golden_recipe_of_pseudo_labels

RECIPES = {recipe.name: recipe for recipe in (golden_recipe(), golden_recipe_of_pseudo_labels())}
# Another CPU, thread count or version of PyTorch changes a float32 sum by a relative 1e-7. Initial weights changed by
# 2e-7 changed the losses of these twenty steps by at most 6e-6, in both runs, so 2e-4 leaves a margin. Error counts and
# the standard deviation of the images' pixels, which have 256 gray levels, change in small steps.
RELATIVE, NUM_ERRORS, PIXEL_STD = 2e-4, 3, 2e-3
NOT_COMPARED = {"seconds", "diagnostics"}


def run(recipe: Recipe, folder: Path) -> list[dict[str, Any]]:
    options = TrainingOptions(seed=1, out=folder, device="cpu", threads=1, save_every=1000)
    train_recipe(recipe, options, Console(file=io.StringIO()))
    log = Run(folder).log.lines
    return [
        {name: value for name, value in report.items() if name not in NOT_COMPARED and "without_average" not in name}
        for report in log
    ]


def differences(log: list[dict[str, Any]], golden: list[dict[str, Any]]) -> list[str]:
    """A line for every number that differs from the golden log."""
    assert [sorted(report) for report in log] == [sorted(report) for report in golden], "the log has other entries"
    found = []
    for report, before in zip(log, golden, strict=True):
        for name, value in report.items():
            relative, absolute = RELATIVE, 1e-6
            if name in ("test/num_errors", "test/error"):
                relative, absolute = 0, NUM_ERRORS if name == "test/num_errors" else NUM_ERRORS / 200
            elif name.endswith("pixel_std"):
                relative, absolute = 0, PIXEL_STD
            elif name.endswith("labeled_error"):
                relative, absolute = (
                    0,
                    NUM_ERRORS / (20 if "discriminator/pseudo_label" in before else 100),
                )  # labeled rows
            if abs(value - before[name]) > absolute + relative * abs(before[name]):
                found.append(f"step {report['step']}: {name} is {value}, was {before[name]}")
    return found


def golden_log(name: str) -> list[dict[str, Any]]:
    log: list[dict[str, Any]] = json.loads(_file(name).read_text())
    return log


def _file(name: str) -> Path:
    return Path(__file__).parent / f"{name}.json"


@pytest.mark.parametrize("name", RECIPES)
def test_twenty_steps_agree_with_the_golden_log(name: str, tmp_path: Path) -> None:
    golden = golden_log(name)
    assert [report["step"] for report in golden] == list(range(1, 21))
    found = differences(run(RECIPES[name], tmp_path), golden)
    assert not found, "\n".join(["if this is intended, see the top of this file", *found[:10]])


@pytest.mark.parametrize(
    "change",
    [
        {"adam_epsilon": 1e-8},
        {"adam_betas": (0.5, 0.99)},
        {"learning_rate": 0.00303},
        {"lr_decay_fraction": 0.0},
        {"ema_decay": 0.91},
        {"init_batch_size": 50},
        {"include_labeled": False, "batch_size": 50},
        {"objective": SemiSupervised(unsupervised_weight=0.51)},
        {"objective": SemiSupervised()},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_relevant_change_is_detected(change: dict[str, object], tmp_path: Path) -> None:
    golden = golden_log("golden")
    log = run(replace(RECIPES["golden"], **change), tmp_path)
    assert len(log) != len(golden) or differences(log, golden)


@pytest.mark.parametrize(
    "change",
    [
        {"confident_fraction": 0.8},
        {"num_neighbors": 5},
        {"max_displacement": 0},
        {"num_rounds": 1},
        {"batch_size": 29},
        {"rotation": 0.101},
        {"learn_positions": False},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_change_of_pseudo_labels_or_augmentation_is_detected(change: dict[str, Any], tmp_path: Path) -> None:
    recipe = RECIPES["golden-pseudo-labels"]
    which = "pseudo_labeling" if hasattr(recipe.pseudo_labeling, *change) else "augmentation"
    log = run(replace(recipe, **{which: replace(getattr(recipe, which), **change)}), tmp_path)
    assert differences(log, golden_log(recipe.name))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for one in RECIPES.values():
        with TemporaryDirectory() as temporary:
            made = run(one, Path(temporary) / "run")
        _file(one.name).write_text("[\n" + ",\n".join(f" {json.dumps(report)}" for report in made) + "\n]\n")

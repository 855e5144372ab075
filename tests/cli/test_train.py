from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from improved_gan.cli import app, training


def asked(monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """The options that the command makes of these words."""
    seen: list[Any] = []
    monkeypatch.setattr(training, "run_training", lambda options, console: seen.append(options))
    result = CliRunner().invoke(app, ["train", *words])
    assert result.exit_code == 0, result.output
    return seen[0]


def test_every_option_reaches_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "mnist --labels 200 --seed 3 --split-seed 4 --epochs 5 --data d --out o --device cpu --precision bfloat16"
    options = asked(monkeypatch, *words.split(), "--threads", "2", "--save-every", "7", "-n")
    named = (options.recipe, options.labels, options.seed, options.split_seed, options.epochs, options.precision)
    assert named == ("mnist", 200, 3, 4, 5, "bfloat16")
    assert (options.data, options.out, options.device) == (Path("d"), Path("o"), "cpu")
    assert (options.threads, options.save_every, options.dry_run) == (2, 7.0, True)
    scores = asked(monkeypatch, "mnist", "--eval-network", "runs/judge", "--eval-every", "2", "--eval-samples", "500")
    assert (scores.eval_network, scores.eval_every, scores.eval_samples) == ("runs/judge", 2, 500)


def test_images_of_ones_own_reach_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["folder", "--images", "photos", "--labels", "labels.csv", "--size", "64", "--validation", "0.1"]
    options = asked(monkeypatch, *words, "--cache-dir", "c", "--num-workers", "3", "--num-labels", "30")
    own = options.own
    assert (own.images, own.labels_file, own.size, own.validation) == (Path("photos"), Path("labels.csv"), 64, 0.1)
    assert (own.cache, own.workers, options.labels) == (Path("c"), 3, 30)


def test_a_recipe_is_needed() -> None:
    result = CliRunner().invoke(app, ["train"])
    assert result.exit_code == 2

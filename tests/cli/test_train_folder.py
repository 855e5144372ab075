from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from improved_gan.cli import app, training
from improved_gan.cli.custom_images import ImageOptions
from improved_gan.cli.shared import TrainingOptions


def test_the_images_and_the_training_get_their_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        training, "train_on_images", lambda own, options, _, *, labels: seen.append((own, options, labels))
    )
    words = "--images photos --labels l.csv --num-labels 0 --size 64 --validation 0.1 --cache-dir c --num-workers 3"
    done = CliRunner().invoke(app, ["train-folder", *words.split(), "--value-range", "0:9", "--epochs", "5"])
    assert done.exit_code == 0, done.output
    own = ImageOptions(Path("photos"), Path("l.csv"), 64, 0.1, Path("c"), 3, "0:9")
    assert seen == [(own, TrainingOptions(epochs=5), 0)]

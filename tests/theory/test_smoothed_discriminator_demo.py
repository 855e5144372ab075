import csv
from functools import partial

import numpy as np
import pytest

from improved_gan.theory import smoothed_discriminator_demo as exhibit
from improved_gan.theory.smoothed_discriminator import train_discriminators


def test_files_and_text(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhibit, "train_discriminators", partial(train_discriminators, num_steps=150))
    files, words = exhibit.smoothed_discriminator_demo(tmp_path, 0)
    assert [file.name for file in files] == ["smoothed_discriminator.png", "smoothed_discriminator.csv"]
    assert all(file.stat().st_size < 200_000 for file in files)
    assert "So beta = 0" in words
    rows = list(csv.DictReader((tmp_path / "smoothed_discriminator.csv").read_text().splitlines()))
    columns = {name: np.array([float(row[name]) for row in rows]).reshape(3, -1) for name in rows[0]}
    assert np.abs(columns["trained"] - columns["optimum"]).mean() < 0.03
    outliers = np.abs(columns["x"][0] + 2) < 0.3
    assert columns["trained_gradient"][:2, outliers].min() > 1
    assert np.abs(columns["trained_gradient"][2, outliers]).max() < 0.5
    np.testing.assert_array_equal(columns["optimal_gradient"][0], columns["optimal_gradient"][1])

import csv
from functools import partial

import pytest

from improved_gan.theory import mode_collapse_demo
from improved_gan.theory.mode_collapse import train_on_ring


def test_files_and_text(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = partial(train_on_ring, num_steps=20, num_evaluations=2, num_points=50)
    monkeypatch.setattr(mode_collapse_demo, "train_on_ring", quick)
    files, words = mode_collapse_demo.mode_collapse_demo(tmp_path, 3)
    assert [file.name for file in files] == ["mode_collapse.png", "mode_collapse.csv", "mode_collapse_points.csv"]
    assert all(file.stat().st_size < 200_000 for file in files)
    assert "minibatch discrimination  covers" in words
    rows = list(csv.DictReader((tmp_path / "mode_collapse.csv").read_text().splitlines()))
    assert len(rows) == 2 * 2 * 5
    assert {row["seed"] for row in rows} == {"3", "4", "5", "6", "7"}
    assert len(list(csv.DictReader((tmp_path / "mode_collapse_points.csv").read_text().splitlines()))) == 2 * 5 * 50

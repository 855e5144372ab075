import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.reports import sample_timeline as room
from improved_gan.reports.sample_timeline import make_timeline
from improved_gan.runs import Run
from improved_gan.training.sampling import grid, write_png


def pixels(uri: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))) as picture:
        return np.array(picture)


def record(folder: Path, shape: tuple[int, ...], epochs: int) -> Run:
    run = Run(folder)
    run.settings = {"image_shape": list(shape)}
    for epoch in range(1, epochs + 1):
        write_png(run.samples / f"epoch-{epoch:04d}.png", grid(torch.randint(256, (100, *shape), dtype=torch.uint8)))
    return run


def test_the_grids_keep_every_pixel_at_its_own_size(small_runs: dict[str, Path]) -> None:
    run = Run(small_runs["first"])
    timeline = make_timeline([run])
    page = timeline.runs[0]
    assert timeline.epochs == page.epochs == [1, 2, 3, 4]
    assert (page.shown, page.of, page.width) == (100, 100, 89)
    with Image.open(run.sample_grids[4]) as stored:
        large = np.array(stored)
    assert (pixels(page.images[-1])[:8, 9:17] == large[0:64:8, 66:130:8]).all()


def test_all_runs_together_stay_within_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BUDGET", 60_000)
    runs = [record(tmp_path / name, (3, 8, 8), 12) for name in "ab"]
    timeline = make_timeline(runs)
    assert sum(len(one) for page in timeline.runs for one in page.images) <= 60_000
    for page in timeline.runs:
        assert 4 <= page.shown < page.of
        assert page.epochs[-1] == 12
        assert len(page.epochs) >= 4
        assert page.total == 12


def test_damaged_and_missing_grids_are_counted(tmp_path: Path) -> None:
    run = record(tmp_path / "a", (1, 8, 8), 3)
    run.sample_grids[2].write_bytes(b"")
    none = record(tmp_path / "none", (1, 8, 8), 0)
    timeline = make_timeline([run, none])
    assert (timeline.runs[0].epochs, timeline.runs[0].damaged) == ([1, 3], 1)
    assert timeline.runs[1].images == []
    assert timeline.as_dict()["last"] == [3, None]
    assert [one["epoch"] for one in timeline.as_dict()["runs"][0]] == [1]

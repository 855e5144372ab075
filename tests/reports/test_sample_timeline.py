import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.reports import sample_timeline as room
from improved_gan.reports.run_log import RunRecord, read_run
from improved_gan.reports.sample_timeline import flipbook
from improved_gan.training.sampling import grid, write_png


def pixels(uri: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))) as picture:
        return np.array(picture)


def record(folder: Path, shape: tuple[int, ...], epochs: int) -> RunRecord:
    pictures = {}
    for epoch in range(1, epochs + 1):
        pictures[epoch] = folder / f"epoch-{epoch:04d}.png"
        write_png(pictures[epoch], grid(torch.randint(256, (100, *shape), dtype=torch.uint8)))
    return RunRecord(folder, "run", {"image_shape": list(shape)}, (), 0, pictures)


def test_the_grids_keep_every_pixel_at_its_own_size(small_runs: dict[str, Path]) -> None:
    run = read_run(small_runs["first"])
    book = flipbook([run])
    page = book.pages[0]
    assert book.epochs == page.epochs == [1, 2, 3, 4]
    assert (page.shown, page.of, page.width) == (100, 100, 89)
    with Image.open(run.pictures[4]) as stored:
        large = np.array(stored)
    assert (pixels(page.pictures[-1])[:8, 9:17] == large[0:64:8, 66:130:8]).all()


def test_all_runs_together_stay_within_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BUDGET", 60_000)
    runs = [record(tmp_path / name, (3, 8, 8), 12) for name in "ab"]
    book = flipbook(runs)
    assert sum(len(one) for page in book.pages for one in page.pictures) <= 60_000
    for page in book.pages:
        assert 4 <= page.shown < page.of
        assert page.epochs[-1] == 12
        assert len(page.epochs) >= 4
        assert page.total == 12


def test_damaged_and_missing_grids_are_counted(tmp_path: Path) -> None:
    run = record(tmp_path / "a", (1, 8, 8), 3)
    run.pictures[2].write_bytes(b"")
    none = RunRecord(tmp_path, "none", {"image_shape": [1, 8, 8]}, (), 0, {})
    book = flipbook([run, none])
    assert (book.pages[0].epochs, book.pages[0].damaged) == ([1, 3], 1)
    assert book.pages[1].pictures == []
    assert book.as_dict()["last"] == [3, None]
    assert [one["epoch"] for one in book.as_dict()["runs"][0]] == [1]

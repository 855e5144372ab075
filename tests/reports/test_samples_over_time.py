import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.reports import samples_over_time
from improved_gan.reports.samples_over_time import (
    GIF_BYTES,
    STRIP_BYTES,
    animation,
    as_gif,
    frames,
    make_timeline,
    strip,
)
from improved_gan.runs import Run
from improved_gan.training.errors import RunError
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
    monkeypatch.setattr(samples_over_time, "BUDGET", 60_000)
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


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_strip_has_a_column_an_epoch_and_a_row_a_latent() -> None:
    grids = {
        10 * epoch: torch.stack([torch.full((1, 8, 8), 20 * epoch + row, dtype=torch.uint8) for row in range(9)])
        for epoch in range(1, 4)
    }
    with opened(strip(grids)) as picture:
        pixels = np.array(picture)
    body = pixels[18:]  # below the captions
    assert body[::66, ::66].tolist() == [[20 * epoch + row for epoch in (1, 2, 3)] for row in range(6)]
    assert (pixels[:18] > 200).any()  # something is written


def test_a_film_has_a_frame_an_epoch_and_repeats() -> None:
    grids = {epoch: torch.randint(256, (100, 1, 8, 8), dtype=torch.uint8) for epoch in (1, 5, 9)}
    with opened(animation(grids)) as picture:
        assert picture.n_frames == 3
        assert picture.info["loop"] == 0
        assert max(picture.size) <= 640
        times = []
        for place in range(3):
            picture.seek(place)
            times.append(picture.info["duration"])
    assert times[2] == 2000
    assert times[0] == times[1] < 500


@pytest.mark.slow
def test_large_noisy_color_grids_stay_below_the_stated_sizes() -> None:
    noise = torch.randint(256, (100, 3, 64, 64), dtype=torch.uint8)
    grids = {epoch: noise.roll(epoch, 0) for epoch in range(30)}
    assert len(strip(grids)) <= STRIP_BYTES
    content = animation(grids)
    assert len(content) <= GIF_BYTES
    with opened(content) as picture:
        assert picture.n_frames > 1
        assert max(picture.size) <= 640


def test_pictures_of_several_sizes_are_brought_to_one() -> None:
    pictures = [Image.new("RGB", (4, 4), "red"), Image.new("RGB", (8, 6), "blue")]
    with opened(as_gif(pictures, [100, 100])) as picture:
        assert picture.size == (8, 6)
        assert picture.n_frames == 2


def test_the_grids_of_a_run_and_what_is_damaged(small_runs: dict[str, Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_runs["first"], tmp_path / "run"))
    assert {
        epoch: tuple(images.shape) for epoch, images in frames(Run(run), warn=pytest.fail).items()
    } == dict.fromkeys((1, 2, 3, 4), (100, 1, 8, 8))
    (run / "samples" / "epoch-0002.png").write_bytes(b"no picture")
    told: list[str] = []
    assert list(frames(Run(run), warn=told.append)) == [1, 3, 4]
    assert "epoch-0002.png cannot be read" in told[0]
    for file in (run / "samples").iterdir():
        file.write_bytes(b"")
    with pytest.raises(RunError, match="none of the sample grids"):
        frames(Run(run), warn=told.append)
    shutil.rmtree(run / "samples")
    with pytest.raises(RunError, match="has no samples yet"):
        frames(Run(run), warn=told.append)

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.reports.training_animation import GIF_BYTES, STRIP_BYTES, animation, as_gif, frames, strip
from improved_gan.runs import Run
from improved_gan.training.errors import RunError


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

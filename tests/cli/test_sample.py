import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from improved_gan.cli.sample import SampleOptions, sample
from improved_gan.data.image_sources import open_images
from improved_gan.data.left_out import SAMPLE_OVERVIEWS
from improved_gan.training.errors import RunError


def go(run: Path, out: Path, num: int = 12, seed: int = 0) -> str:
    screen = io.StringIO()
    sample(SampleOptions(run, out, num, seed), Console(file=screen, width=200))
    return screen.getvalue()


def pictures(out: Path) -> list[np.ndarray]:
    return [pixels(path) for path in sorted((out / "images").iterdir())]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_single_images_and_a_grid(trained_run: Path, tmp_path: Path) -> None:
    text = go(trained_run, tmp_path / "samples")
    assert "12 images" in text
    images = pictures(tmp_path / "samples")
    assert [image.shape for image in images] == [(8, 8)] * 12
    grid = pixels(tmp_path / "samples" / "grid.png")
    assert (grid[:64:8, :64:8] == images[0]).all()


def test_what_is_written_beside_the_images_is_never_taken_for_samples(trained_run: Path, tmp_path: Path) -> None:
    options = SampleOptions(
        trained_run, tmp_path / "all", 2, interpolation=True, training_gif=True, nearest_real=True, trust=True
    )
    sample(options, Console(file=io.StringIO(), width=200))
    assert {path.name for path in (tmp_path / "all").iterdir()} == SAMPLE_OVERVIEWS | {"images"}
    assert open_images(tmp_path / "all").names == ("images/00000.png", "images/00001.png")


def test_the_seed_decides(trained_run: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        go(trained_run, tmp_path / name, seed=seed)
    a, b, c = (np.stack(pictures(tmp_path / name)) for name in "abc")
    assert (a == b).all()
    assert (a != c).any()


def test_a_folder_with_something_in_it_is_refused(trained_run: Path, tmp_path: Path) -> None:
    (tmp_path / "old.png").write_bytes(b"")
    with pytest.raises(RunError, match="not empty: samples of several runs would be mixed"):
        go(trained_run, tmp_path)

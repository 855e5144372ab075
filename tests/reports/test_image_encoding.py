import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.reports.image_encoding import as_array, as_png, cut_grid, data_uri, evenly, read_grid, within
from improved_gan.training.sampling import grid, write_png


def decoded(uri: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))) as picture:
        return np.array(picture)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_as_text_is_the_picture(channels: int) -> None:
    image = torch.randint(256, (channels, 9, 7), dtype=torch.uint8)
    assert (decoded(data_uri(image)) == as_array(image)).all()
    with Image.open(io.BytesIO(as_png(image))) as picture:
        assert (np.array(picture) == as_array(image)).all()


def test_a_large_color_picture_is_sent_smaller() -> None:
    rows = torch.linspace(0, 255, 200)
    image = (rows[None, :, None] * 0.5 + rows[None, None] * 0.5 + 8 * torch.randn(3, 200, 200)).clamp(0, 255).byte()
    uri = data_uri(image)
    assert uri.startswith("data:image/jpeg")
    assert len(uri) < len(as_png(image))
    assert np.abs(decoded(uri).astype(int) - as_array(image)).mean() < 12


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 72, 72)])
def test_a_grid_of_training_is_cut_into_its_images(shape: tuple[int, ...], tmp_path: Path) -> None:
    images = torch.randint(256, (20, *shape), dtype=torch.uint8)
    write_png(tmp_path / "epoch-0001.png", grid(images, columns=10))
    assert (read_grid(tmp_path / "epoch-0001.png", shape) == images).all()


def test_another_layout_is_one_picture_and_a_damaged_file_none(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_png(path, torch.zeros(1, 50, 70, dtype=torch.uint8))
    assert read_grid(path, (1, 8, 8)).shape == (1, 1, 50, 70)
    assert cut_grid(torch.zeros(3, 658, 658, dtype=torch.uint8), (1, 8, 8)) is None
    path.write_bytes(path.read_bytes()[:60])
    assert read_grid(path, (1, 8, 8)) is None
    path.write_bytes(b"")
    assert read_grid(path, (1, 8, 8)) is None


@pytest.mark.parametrize("num", [1, 2, 5, 40])
def test_evenly_keeps_order_and_ends(num: int) -> None:
    for length in (1, 2, 7, 100):
        items = list(range(length))
        found = evenly(items, num)
        assert len(found) == min(num, length)
        assert found == sorted(set(found))
        assert found[-1] == items[-1]
        assert num == 1 or found[0] == 0


def test_within_takes_the_first_that_fits_else_the_last() -> None:
    assert within(10, [30, 10, 5], bytes) == bytes(10)
    assert within(1, [30, 10, 5], bytes) == bytes(5)

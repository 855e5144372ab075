import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from improved_gan.data import image_table
from improved_gan.data.image_table import ImageTable

IMAGES = torch.arange(5 * 3 * 4 * 4).remainder(256).to(torch.uint8).reshape(5, 3, 4, 4)
ROWS = torch.tensor([4, 0, 4, 2])


def test_rows_come_in_the_order_asked_for_with_repetitions() -> None:
    expected = IMAGES.numpy()[[4, 0, 4, 2]].astype(np.float64) / 255
    np.testing.assert_allclose(ImageTable(IMAGES, "cpu")(ROWS).numpy(), expected, atol=1e-7)


def test_a_large_set_gives_the_same_rows_and_is_not_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    IMAGES.numpy().tofile(tmp_path / "images")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it cannot be written to, as it should be
        mapped = torch.from_numpy(np.memmap(tmp_path / "images", np.uint8, mode="r").reshape(IMAGES.shape))
    small = ImageTable(mapped, "cpu")
    monkeypatch.setattr(image_table, "_LARGE", 100)
    large = ImageTable(mapped, "cpu")
    assert (small.large, large.large) == (False, True)
    assert torch.equal(large(ROWS), small(ROWS))
    assert torch.equal(large(ROWS), ImageTable(IMAGES, "cpu")(ROWS))
    assert large._images.data_ptr() == mapped.data_ptr()


def test_no_rows() -> None:
    assert ImageTable(IMAGES, "cpu")(ROWS[:0]).shape == (0, 3, 4, 4)

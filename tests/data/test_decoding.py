from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from improved_gan.data import DataError
from improved_gan.data.decoding import decode_rows
from improved_gan.data.image_index import index_images
from improved_gan.data.image_sources import open_images
from tests.pictures import folder_of, picture, png


def test_every_image_in_order_with_any_number_of_workers_and_from_any_row(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 80)
    (folder / "0000-no-image.png").write_text("left out by the scan")
    scan = index_images(open_images(folder), workers=1)
    expected = [
        # the central square of 10 x 12 pixels is its middle ten rows
        np.asarray(picture(seed).crop((0, 1, 10, 11)).resize((8, 8), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
        for seed in range(80)
    ]
    for workers, first in ((1, 0), (3, 0), (2, 37)):
        found = list(decode_rows(scan, (3, 8, 8), workers=workers, first=first))
        assert len(found) == 80 - first
        for image, wanted in zip(found, expected[first:], strict=True):
            np.testing.assert_array_equal(image.numpy(), wanted)


def test_a_file_cut_short_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 3)
    (folder / "001.png").write_bytes(png(picture(1, (60, 60)))[:2000])
    found = list(decode_rows(index_images(open_images(folder), workers=1), (3, 8, 8), workers=2))
    assert isinstance(found[1], str)
    assert found[1].startswith("cannot be read: ")
    assert found[0].shape == found[2].shape == (3, 8, 8)


def test_files_that_change_or_vanish_after_the_scan_are_an_error(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 3)
    scan = index_images(open_images(folder), workers=1)
    (folder / "001.png").write_bytes(png(picture(9)))
    with pytest.raises(DataError, match=r"001.png has changed while the images were read: run"):
        list(decode_rows(scan, (3, 8, 8), workers=2))
    (folder / "001.png").unlink()
    with pytest.raises(DataError, match=r"001.png can no longer be read"):
        list(decode_rows(scan, (3, 8, 8), workers=2))

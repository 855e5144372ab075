import numpy as np
import pytest
import torch

from improved_gan.data.images import decode_image
from improved_gan.data.range_watch import RangeWatch, uses_little
from improved_gan.data.value_range import ValueRange
from tests.tiffs import png, tiff

TWELVE = np.random.default_rng(0).integers(0, 4096, (30, 30)).astype(np.uint16)


def watched(*contents: bytes, values: ValueRange | None = None) -> RangeWatch:
    watch = RangeWatch(values)
    for content in contents:
        watch.add(decode_image(content, "x", values=values).pixels)
        watch.measure([("x", content)])
    return watch


def test_twelve_bits_in_sixteen_are_told_with_the_range_to_give() -> None:
    text = watched(tiff(TWELVE), tiff(TWELVE // 2)).warning()
    assert text is not None
    assert "gray levels 0 to 16 of 0 to 255" in text
    assert f"values from {TWELVE.min() // 2} to {TWELVE.max()}" in text
    assert "white is 65535 (16 bits)" in text
    assert text.endswith("--value-range 0:4095")


def test_percentiles_are_advised_only_where_they_can_be_given() -> None:
    watch = RangeWatch(percentiles=True)
    watch.add(decode_image(tiff(TWELVE), "x").pixels)
    text = watch.warning()
    assert text is not None
    assert text.endswith("percentiles of the training images, --value-range 0.5%:99.5%")


def test_what_uses_its_range_is_not_told() -> None:
    assert watched(tiff(TWELVE), values=ValueRange(0, 4095)).warning() is None
    assert watched(tiff(TWELVE * 16)).warning() is None
    assert watched(tiff((TWELVE // 16).astype(np.uint8))).warning() is None
    assert watched().warning() is None


def test_one_hot_pixel_does_not_hide_it_and_one_dark_image_is_no_reason() -> None:
    hot = TWELVE.copy()
    hot[0, 0] = 65535
    assert watched(tiff(hot), tiff(TWELVE)).warning() is not None
    assert watched(tiff(TWELVE), tiff(TWELVE * 16)).warning() is None


def test_a_narrow_band_far_from_black_is_told() -> None:
    text = watched(tiff(TWELVE // 4 + np.uint16(40000))).warning()
    assert text is not None
    assert f"--value-range {40000 + TWELVE.min() // 4}:{40000 + TWELVE.max() // 4}" in text


def test_a_range_that_does_not_fit_these_images() -> None:
    text = watched(tiff(TWELVE // 64), values=ValueRange(0, 4095)).warning()
    assert text is not None
    assert text.startswith("with the value range 0:4095 the images use gray levels 0 to 4 ")


def test_deep_color_is_told_to_be_converted() -> None:
    text = watched(png(np.stack([TWELVE] * 3, 2), color=2)).warning()
    assert text is not None
    assert "only the upper 8 are read: convert them" in text


@pytest.mark.parametrize(("top", "little"), [(63, True), (64, False)])
def test_the_border_is_a_quarter(top: int, little: bool) -> None:
    assert uses_little(torch.tensor([0, top], dtype=torch.uint8)) == little

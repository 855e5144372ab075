import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from improved_gan.data.dataset import DataError
from improved_gan.data.images import decode_image, find_images, read_image

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def save(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path)
    return path


def test_greyscale_and_colour_are_read_exactly(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png", GREY)
    assert (read_image(grey, (1, 8, 8)).numpy()[0] == GREY).all()
    colours = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    colour = save(tmp_path / "colour.png", colours)
    assert (read_image(colour, (3, 4, 6)).numpy() == colours.transpose(2, 0, 1)).all()


def test_another_size_or_mode_is_an_error_that_names_both(tmp_path: Path) -> None:
    big = save(tmp_path / "big.png", np.zeros((9, 10), np.uint8))
    with pytest.raises(DataError, match=r"is 10x9 in mode L, the run was trained on 8x8 in mode L: --fit"):
        read_image(big, (1, 8, 8))
    colour = save(tmp_path / "colour.png", GREY, "RGB")
    with pytest.raises(DataError, match=r"mode RGB.*mode L"):
        read_image(colour, (1, 8, 8))


def test_fit_converts_and_scales(tmp_path: Path) -> None:
    colour = save(tmp_path / "colour.png", GREY.repeat(3, 0).repeat(3, 1), "RGB")
    fitted = read_image(colour, (1, 8, 8), fit=True)
    assert np.abs(fitted.numpy()[0].astype(int) - GREY).max() <= 12
    assert read_image(save(tmp_path / "grey.png", GREY), (3, 4, 4), fit=True).shape == (3, 4, 4)


def test_fit_puts_transparent_pictures_on_white_and_turns_them_upright(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png", (1, 8, 8), fit=True) == 255).all()
    half = Image.fromarray(np.repeat(np.uint8([[0] * 4 + [255] * 4]), 8, axis=0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees when shown
    half.save(tmp_path / "turned.png", exif=exif)
    upright = read_image(tmp_path / "turned.png", (1, 8, 8), fit=True).numpy()[0]
    assert upright[0].mean() < 10
    assert upright[-1].mean() > 245


def test_sixteen_bits_are_scaled_and_unknown_ranges_refused(tmp_path: Path) -> None:
    levels = (np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    fitted = read_image(tmp_path / "deep.png", (1, 8, 8), fit=True).numpy()[0]
    np.testing.assert_array_equal(fitted, levels // 257)
    Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(DataError, match="mode F, whose black and white are not known"):
        read_image(tmp_path / "float.tiff", (1, 8, 8), fit=True)


def test_invert_swaps_dark_and_light(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png", GREY)
    np.testing.assert_array_equal(read_image(grey, (1, 8, 8), invert=True).numpy()[0], 255 - GREY)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:600])
    (tmp_path / "text.png").write_text("no picture")
    for name in ("cut.png", "text.png"):
        with pytest.raises(DataError, match=rf"{name} cannot be read"):
            read_image(tmp_path / name, (1, 64, 64))


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "bomb.png", np.zeros((100, 100), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    with pytest.raises(DataError, match="refused"):
        read_image(path, (1, 8, 8), fit=True)


def test_folders_are_searched_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    files = [save(tmp_path / name, GREY) for name in ("c.png", "a.PNG", "b/x.bmp")]
    (tmp_path / "notes.txt").write_text("not an image")
    assert list(find_images([tmp_path])) == sorted(files)
    assert list(find_images([files[0], tmp_path / "b"])) == [files[0], files[2]]
    with pytest.raises(DataError, match="no file or folder"):
        list(find_images([tmp_path / "missing"]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        list(find_images([tmp_path / "empty"]))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def test_every_mode_becomes_colour_by_the_stated_rule() -> None:
    grey = Image.new("L", (4, 3), 90)
    assert decode_image(encoded(grey), "x").pixels[:, 0, 0].tolist() == [90, 90, 90]
    deep = Image.fromarray(np.full((3, 4), 90 * 257, dtype=np.uint16))
    assert decode_image(encoded(deep), "x").pixels[:, 0, 0].tolist() == [90, 90, 90]
    assert "16 bits scaled to 8" in decode_image(encoded(deep), "x").conversions
    clear = Image.new("RGBA", (4, 3), (200, 0, 0, 0))
    found = decode_image(encoded(clear), "x")
    assert found.pixels[:, 0, 0].tolist() == [255, 255, 255]
    assert found.conversions == ("transparency put on white",)
    half = decode_image(encoded(Image.new("LA", (4, 3), (0, 128))), "x").pixels[:, 0, 0].tolist()
    assert half == pytest.approx([127, 127, 127], abs=1)
    palette = Image.new("P", (4, 3), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert decode_image(encoded(palette), "x").pixels[:, 0, 0].tolist() == [10, 20, 30]
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red = decode_image(encoded(cmyk, "JPEG", quality=100), "x")
    assert red.pixels[:, 4, 4].tolist() == pytest.approx([255, 0, 0], abs=4)
    assert red.conversions == ("CMYK to RGB",)
    assert decode_image(encoded(Image.new("1", (4, 3), 1)), "x").pixels.unique().tolist() == [255]
    assert decode_image(encoded(Image.new("RGB", (4, 3), (0, 100, 0))), "x", channels=1).pixels.shape == (1, 3, 4)


def test_animations_give_their_first_picture_and_size_is_scaled_to() -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    found = decode_image(encoded(first, "GIF", save_all=True, append_images=[second]), "x", size=(4, 6))
    assert found.pixels.shape == (3, 4, 6)
    assert found.pixels[:, 0, 0].tolist() == [255, 0, 0]
    assert found.conversions[0] == "first picture of an animation"
    assert found.conversions[-1] == "scaled to 6 x 4 (bicubic)"


def test_the_camera_orientation_is_applied() -> None:
    sideways = Image.new("RGB", (4, 2))
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decode_image(encoded(sideways, "JPEG", exif=exif), "x")
    assert found.pixels.shape == (3, 4, 2)
    assert found.conversions == ("turned upright",)


def test_content_that_cannot_be_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)), "JPEG")
    for content in (b"", b"no image", whole[: len(whole) // 2]):
        with pytest.raises(DataError, match=r"^x\.jpg cannot be read"):
            decode_image(content, "x.jpg")
    with pytest.raises(DataError, match="black and white are not known"):
        decode_image(encoded(Image.new("F", (2, 2)), "TIFF"), "x")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="x is refused: Image size"):
        decode_image(whole, "x")

import io
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from improved_gan.data.dataset import DataError
from improved_gan.data.images import (
    center_crop_resize,
    central_square,
    decode_image,
    decoding,
    in_mode,
    load,
    read_header,
    read_image,
)


def test_a_file_is_loaded_with_what_it_stores_and_brought_into_a_mode() -> None:
    buffer = io.BytesIO()
    Image.new("I;16", (6, 4), 65535).save(buffer, "TIFF")
    image, stored, done = load(buffer)
    assert (stored.bits, done) == (16, [])
    found, done = in_mode(central_square(image), stored, "RGB", "x", None)
    assert (found.size, found.mode, found.getpixel((0, 0))) == ((4, 4), "RGB", (255, 255, 255))
    assert done == ["16 bits scaled to 8", "L to RGB"]


@pytest.mark.parametrize("error", [TypeError("a\nb"), IndexError(), SyntaxError("x")])
def test_what_readers_raise_becomes_one_line(error: Exception) -> None:
    with pytest.raises(DataError, match=r"^it cannot be read: ") as told, decoding("it"):
        raise error
    assert "\n" not in str(told.value)


GRAY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def save(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path)
    return path


def test_grayscale_and_color_are_read_exactly(tmp_path: Path) -> None:
    gray = save(tmp_path / "gray.png", GRAY)
    assert (read_image(gray, (1, 8, 8)).numpy()[0] == GRAY).all()
    colors = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    color = save(tmp_path / "color.png", colors)
    assert (read_image(color, (3, 4, 6)).numpy() == colors.transpose(2, 0, 1)).all()


def test_another_size_or_mode_is_an_error_that_names_both(tmp_path: Path) -> None:
    big = save(tmp_path / "big.png", np.zeros((9, 10), np.uint8))
    with pytest.raises(DataError, match=r"is 10x9 in mode L, the run was trained on 8x8 in mode L: --resize"):
        read_image(big, (1, 8, 8))
    color = save(tmp_path / "color.png", GRAY, "RGB")
    with pytest.raises(DataError, match=r"mode RGB.*mode L"):
        read_image(color, (1, 8, 8))


def test_fit_converts_and_scales(tmp_path: Path) -> None:
    color = save(tmp_path / "color.png", GRAY.repeat(3, 0).repeat(3, 1), "RGB")
    fitted = read_image(color, (1, 8, 8), resize=True)
    assert np.abs(fitted.numpy()[0].astype(int) - GRAY).max() <= 12
    assert read_image(save(tmp_path / "gray.png", GRAY), (3, 4, 4), resize=True).shape == (3, 4, 4)


def test_fit_puts_transparent_images_on_white_and_turns_them_upright(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png", (1, 8, 8), resize=True) == 255).all()
    half = Image.fromarray(np.repeat(np.uint8([[0] * 4 + [255] * 4]), 8, axis=0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees when shown
    half.save(tmp_path / "turned.png", exif=exif)
    upright = read_image(tmp_path / "turned.png", (1, 8, 8), resize=True).numpy()[0]
    assert upright[0].mean() < 10
    assert upright[-1].mean() > 245


def test_sixteen_bits_are_scaled_and_unknown_ranges_refused(tmp_path: Path) -> None:
    levels = (np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    fitted = read_image(tmp_path / "deep.png", (1, 8, 8), resize=True).numpy()[0]
    np.testing.assert_array_equal(fitted, np.rint(levels / 257))
    Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(DataError, match="holds floating point, whose black and white are not known"):
        read_image(tmp_path / "float.tiff", (1, 8, 8), resize=True)


def test_invert_swaps_dark_and_light(tmp_path: Path) -> None:
    gray = save(tmp_path / "gray.png", GRAY)
    np.testing.assert_array_equal(read_image(gray, (1, 8, 8), invert=True).numpy()[0], 255 - GRAY)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:600])
    (tmp_path / "text.png").write_text("no image")
    for name in ("cut.png", "text.png"):
        with pytest.raises(DataError, match=rf"{name} cannot be read"):
            read_image(tmp_path / name, (1, 64, 64))


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "bomb.png", np.zeros((100, 100), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    with pytest.raises(DataError, match="refused"):
        read_image(path, (1, 8, 8), resize=True)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def test_every_mode_becomes_color_by_the_stated_rule() -> None:
    gray = Image.new("L", (4, 3), 90)
    assert decode_image(encoded(gray), "x").pixels[:, 0, 0].tolist() == [90, 90, 90]
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


def test_animations_give_their_first_image_and_size_is_scaled_to() -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    found = decode_image(encoded(first, "GIF", save_all=True, append_images=[second]), "x", size=(4, 6))
    assert found.pixels.shape == (3, 4, 6)
    assert found.pixels[:, 0, 0].tolist() == [255, 0, 0]
    assert found.conversions[0] == "first frame of an animation"
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


def test_a_bomb_is_refused_in_every_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # Pillow itself only warns below twice as many
    files = [encoded(Image.new("L", (50, 50 if index % 2 else 20))) for index in range(200)]

    def verdict(content: bytes) -> str:
        try:
            return str(tuple(decode_image(content, "x").pixels.shape))
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(verdict, files))
    assert found == ["(3, 20, 50)", "x is refused: Image size (2500 pixels) exceeds limit of 2000 pixels"] * 100


def exif_of(byte_order: bytes) -> bytes:
    """A camera's data that is whole but for its first two bytes."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes().replace(b"MM", byte_order).replace(b"II", byte_order)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_camera_data_leave_the_image_as_it_is(kind: str) -> None:
    found = decode_image(encoded(Image.new("RGB", (4, 2), "red"), kind, exif=exif_of(b'"M')), "x")
    assert (found.pixels.shape, found.conversions) == ((3, 2, 4), ())


@pytest.mark.parametrize("turn", range(1, 9))
def test_each_orientation_is_pillows(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    content = encoded(Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)), exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    np.testing.assert_array_equal(decode_image(content, "x").pixels[0].numpy(), upright)


def test_a_tiff_whose_second_image_has_no_width() -> None:
    whole = encoded(Image.new("L", (4, 3)), "TIFF", save_all=True, append_images=[Image.new("L", (5, 3))])
    cut = whole.replace(struct.pack("<HHLL", 0x100, 4, 1, 5), struct.pack("<HHLL", 0x1, 4, 1, 5))
    assert cut != whole
    with pytest.raises(DataError, match=r"^x cannot be read: Missing dimensions$"):
        decode_image(cut, "x")


def damaged(content: bytes, dice: random.Random) -> bytes:
    """Cut, or with other bytes near the start, as in a broken download; PNG's check sums made right again."""
    if dice.random() < 0.2:
        return content[: dice.randrange(len(content))]
    raw = bytearray(content)
    for _ in range(dice.randrange(1, 8)):
        raw[dice.randrange(min(len(raw), 300))] = dice.randrange(256)
    place, mended = 8, bytes(raw[:8])
    while content[:4] == b"\x89PNG" and place + 12 <= len(raw):
        length = int.from_bytes(raw[place : place + 4])
        body = bytes(raw[place + 4 : place + 8 + length])
        mended += bytes(raw[place : place + 4]) + body + struct.pack(">I", zlib.crc32(body))
        place += 12 + length
    return mended if len(mended) > 8 else bytes(raw)


@pytest.mark.filterwarnings("ignore")  # Pillow's own, about what it could still read
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"])
def test_damage_of_any_kind_is_a_data_error_or_none(kind: str) -> None:
    noise = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (24, 20, 3), dtype=np.uint8)) for i in range(3)]
    exif = {} if kind in ("GIF", "BMP", "PPM") else {"exif": exif_of(b"MM")}
    more = {"save_all": True, "append_images": noise[1:]} if kind in ("GIF", "PNG") else {}
    content, dice = encoded(noise[0], kind, **exif, **more), random.Random(0)
    whole = 0
    for _ in range(200):
        with suppress(DataError):  # anything else fails the test
            decode_image(damaged(content, dice), "x")
            whole += 1
    assert whole < 190


def content(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("width", "height"), [(90, 40), (40, 90), (41, 41), (7, 300)])
def test_the_central_square_is_scaled(width: int, height: int) -> None:
    side, square = min(width, height), 20
    image = Image.new("RGB", (width, height), "red")
    left, top = (width - side) // 2, (height - side) // 2
    image.paste("blue", (left, top, left + side, top + side))
    found = center_crop_resize(content(image), "x", channels=3, size=square)
    assert found.shape == (3, square, square)
    inside = found[:, 2:-2, 2:-2].float().mean((1, 2))
    assert inside.tolist() == [0, 0, 255]


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    found = center_crop_resize(content(Image.fromarray(pixels)), "x", channels=3, size=16)
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), pixels)


def test_a_large_jpeg_decoded_in_part_looks_as_one_decoded_whole() -> None:
    random = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    smooth = Image.fromarray(random).resize((1600, 1200), Image.Resampling.BICUBIC)
    jpeg = content(smooth, "JPEG", quality=95)
    whole = content(Image.open(io.BytesIO(jpeg)))
    one, other = (center_crop_resize(data, "x", channels=3, size=64).float() for data in (jpeg, whole))
    assert (one - other).abs().mean() < 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_the_wanted_one(mode: str, channels: int) -> None:
    gray = Image.new("L", (30, 20), 255)
    image = Image.new("I;16", (30, 20), 65535) if mode == "I;16" else gray.convert("RGB").convert(mode)
    form = "TIFF" if mode == "CMYK" else "PNG"
    found = center_crop_resize(content(image, form), "x", channels=channels, size=8)
    assert found.shape == (channels, 8, 8)
    assert found.min() >= 254  # white, whatever wrote it
    header = read_header(content(image, form), "x")
    assert (header.width, header.height) == (30, 20)
    assert header.color == (mode in ("P", "RGB", "RGBA", "CMYK"))

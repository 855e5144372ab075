import io

import numpy as np
import pytest
from PIL import Image

from improved_gan.data.dataset import DataError
from improved_gan.data.images import center_crop_resize, decode_image, read_image, read_values
from improved_gan.data.value_range import ValueRange, parse_plain_range, parse_value_range, stored_range
from tests.tiffs import png, tiff


@pytest.mark.parametrize(("low", "high"), [(0, 4095), (-100, 100), (0.0, 1.0), (1e-3, 2e-3), (0, 2**32 - 1)])
def test_levels_are_those_of_the_formula(low: float, high: float) -> None:
    values = np.linspace(low - (high - low), high + (high - low), 4001)
    expected = np.rint(255 * (values - low) / (high - low)).clip(0, 255)
    found = ValueRange(low, high).to_bytes(values)
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.01  # halves, rounded after another order of operations
    assert ValueRange(low, high).to_bytes(np.array([low, high])).tolist() == [0, 255]


def test_no_type_wraps_round() -> None:
    for values in (np.array([-(2**31), 2**31 - 1], np.int32), np.array([0, 2**32 - 1], np.uint32)):
        assert ValueRange(0, 100).to_bytes(values).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("0:4095", ((0, False), (4095, False))),
        (" 0.5% : 99.5% ", ((0.5, True), (99.5, True))),
        ("0:99.9%", ((0, False), (99.9, True))),
        ("-1e3:2.5", ((-1000, False), (2.5, False))),
    ],
)
def test_forms(text: str, bounds: tuple[tuple[float, bool], ...]) -> None:
    wanted = parse_value_range(text)
    assert tuple((one.number, one.percent) for one in (wanted.low, wanted.high)) == bounds


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "0",
        "0:",
        "a:b",
        "1:2:3",
        "5:5",
        "5:4",
        "9%:1%",
        "-1%:50%",
        "0%:101%",
        "nan:1",
        "0:inf",
        "1%%:2",
        "0 4095",
    ],
)
def test_other_texts_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(DataError, match="give LOW:HIGH") as told:
        parse_value_range(text).resolved({})
    assert "\n" not in str(told.value)


def test_percentiles_are_filled_in_and_refused_where_there_are_no_training_images() -> None:
    wanted = parse_value_range("1%:99%")
    assert wanted.percentiles == (1, 99)
    assert wanted.resolved({1: 100.0, 99: 4000.0}) == ValueRange(100, 4000)
    with pytest.raises(DataError, match="leaves nothing between black and white"):
        wanted.resolved({1: 100.0, 99: 100.0})
    assert parse_plain_range("7:9") == ValueRange(7, 9)
    with pytest.raises(DataError, match="only `train-folder` takes them"):
        parse_plain_range("1%:99%")


def test_a_range_survives_its_own_text_and_json() -> None:
    for low, high in ((0, 4095), (-0.1, 1 / 3), (1e-30, 3e30)):
        one = ValueRange(low, high)
        assert parse_plain_range(str(one)) == one
        assert stored_range([one.low, one.high]) == one
    assert stored_range(None) is None


@pytest.mark.parametrize("stored", [7, "ab", [1], [1, 2, 3], [2, 1], ["a", 1], {}, [None, 1]])
def test_a_damaged_range_of_a_run_is_told(stored: object) -> None:
    with pytest.raises(DataError):
        stored_range(stored)


GRAY = np.arange(12, dtype=np.uint16).reshape(3, 4) * 350  # up to 3850: twelve bits


def levels(content: bytes, values: ValueRange | None = None) -> np.ndarray:
    return decode_image(content, "x", channels=1, values=values).pixels[0].numpy()


def scaled(numbers: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(255 * (numbers.astype(float) - low) / (high - low)).clip(0, 255)


def lzw(numbers: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(numbers).save(buffer, "TIFF", compression="tiff_lzw")
    return buffer.getvalue()


def pgm(numbers: np.ndarray, white: int, *, plain: bool = False) -> bytes:
    head = f"{'P2' if plain else 'P5'} {numbers.shape[1]} {numbers.shape[0]} {white}\n".encode()
    return head + (" ".join(map(str, numbers.ravel().tolist())).encode() if plain else numbers.astype(">u2").tobytes())


KNOWN = {  # content, black and white that the kind says
    "16 bits": (tiff(GRAY), 65535),
    "16 bits, compressed": (lzw(GRAY), 65535),
    "12 bits": (tiff(GRAY, bits=12), 4095),
    "png": (png(GRAY, color=0), 65535),
    "pgm of 12 bits": (pgm(GRAY, 4095), 4095),
    "pgm of 16 bits": (pgm(GRAY, 65535), 65535),
    "plain pgm": (pgm(GRAY, 4000, plain=True), 4000),
}
UNKNOWN = {
    "signed 16": (GRAY.astype(np.int16) - 500),
    "signed 32": (GRAY.astype(np.int32) - 500),
    "signed 8": (GRAY // 40).astype(np.int8) - 50,
    "unsigned 32": GRAY.astype(np.uint32) + np.uint32(3_000_000_000),
    "float 32": GRAY.astype(np.float32) / 3850 - 0.25,
}


@pytest.mark.parametrize("name", KNOWN)
def test_black_and_white_by_the_kind_of_file_or_as_said(name: str) -> None:
    content, white = KNOWN[name]
    assert np.abs(levels(content) - scaled(GRAY, 0, white)).max() <= (1 if "pgm" in name else 0)
    np.testing.assert_array_equal(levels(content, ValueRange(350, 3500)), scaled(GRAY, 350, 3500))
    np.testing.assert_array_equal(read_values(content, "x").numbers, GRAY[:, :3])  # the central square


@pytest.mark.parametrize("name", UNKNOWN)
def test_other_numbers_need_a_range_and_are_exact_with_it(name: str) -> None:
    numbers = UNKNOWN[name]
    content = tiff(numbers)
    low, high = float(numbers[0, 1]), float(numbers[2, 2])
    np.testing.assert_array_equal(levels(content, ValueRange(low, high)), scaled(numbers, low, high))
    with pytest.raises(DataError, match=r"^x holds .* whose black and white are not known: .*--value-range LOW:HIGH"):
        levels(content)


def test_every_reader_takes_the_range() -> None:
    content, values = tiff(np.full((8, 8), 2000, np.uint16)), ValueRange(0, 4000)
    assert center_crop_resize(content, "x", channels=3, size=4, values=values).unique().tolist() == [128]
    assert read_image("x", (1, 4, 4), resize=True, content=content, values=values).unique().tolist() == [128]  # type: ignore[arg-type]
    assert decode_image(content, "x", size=(4, 4), values=values).conversions[0] == "values 0:4000 to 0:255"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_pixels_are_an_error_that_names_the_file(wrong: float) -> None:
    numbers = GRAY.astype(np.float32)
    numbers[1, 2] = wrong
    for values in (None, ValueRange(0, 4095)):
        with pytest.raises(DataError, match=r"^cell.tif has 1 of 12 pixels that are NaN or infinite"):
            decode_image(tiff(numbers), "cell.tif", values=values)
    with pytest.raises(DataError, match=r"^cell.tif has 1 of 9 pixels"):
        read_values(tiff(numbers), "cell.tif")


def test_white_is_zero_is_turned_round_in_all_depths() -> None:
    deep, shallow = tiff(GRAY * 16, photometric=0), tiff((GRAY // 16).astype(np.uint8), photometric=0)
    np.testing.assert_array_equal(levels(deep), 255 - scaled(GRAY * 16, 0, 65535))
    np.testing.assert_array_equal(levels(shallow), 255 - GRAY // 16)
    np.testing.assert_array_equal(levels(deep, ValueRange(0, 61600)), 255 - scaled(GRAY * 16, 0, 61600))


@pytest.mark.parametrize("content", [tiff(np.stack([GRAY] * 3, 2)), png(np.stack([GRAY] * 3, 2), color=2)])
def test_color_of_sixteen_bits_is_refused_with_a_range(content: bytes) -> None:
    found = decode_image(content, "x")
    np.testing.assert_array_equal(found.pixels[1].numpy(), GRAY // 256)  # Pillow's upper 8 bits
    assert "16 bits scaled to 8" in found.conversions
    with pytest.raises(DataError, match="color with 16 bits a channel, of which only the upper 8 are read"):
        decode_image(content, "x", values=ValueRange(0, 4095))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_eight_bits_with_a_range() -> None:
    numbers = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    np.testing.assert_array_equal(
        levels(encoded(Image.fromarray(numbers)), ValueRange(0, 100)), scaled(numbers, 0, 100)
    )
    color = encoded(Image.new("RGB", (2, 2), (10, 50, 200)))
    pixels = decode_image(color, "x", values=ValueRange(0, 100)).pixels
    assert pixels[:, 0, 0].tolist() == [26, 128, 255]
    clear = encoded(Image.new("RGBA", (2, 2), (50, 50, 50, 0)))
    assert decode_image(clear, "x", values=ValueRange(0, 100)).pixels.unique().tolist() == [255]
    with pytest.raises(DataError, match="x has 8 bits, 0 to 255, and the value range is 0:4095"):
        decode_image(color, "x", values=ValueRange(0, 4095))

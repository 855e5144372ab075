import io

import pytest
from PIL import Image

from improved_gan.data.dataset import DataError
from improved_gan.data.opened_image import central_square, decoding, in_mode, load


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

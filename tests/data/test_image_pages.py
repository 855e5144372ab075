import io

import pytest
from PIL import Image, features

from improved_gan.data.image_pages import further_pages, pages_notice


def pages(kind: str, num: int) -> bytes:
    buffer = io.BytesIO()
    shown = [Image.new("RGB", (8, 8), (40 * number, 0, 0)) for number in range(num)]
    shown[0].save(buffer, kind, save_all=True, append_images=shown[1:])
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize("num", [1, 2, 5])
def test_pages_and_frames_beyond_the_first(kind: str, num: int) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    assert further_pages(pages(kind, num)) == num - 1


def test_what_is_damaged_or_holds_one_only() -> None:
    assert further_pages(pages("TIFF", 3)[:60]) == 0
    assert further_pages(b"II*\0 and no TIFF") == further_pages(b"") == 0
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG")
    assert further_pages(buffer.getvalue()) == 0


def test_one_line_of_them_all() -> None:
    (line,) = pages_notice({f"{number}.tif": number for number in range(1, 6)})
    assert line.startswith("5 files hold 15 further pages or frames (5.tif: 5, 4.tif: 4, 3.tif: 3 ...): only the first")
    assert pages_notice({}) == ()

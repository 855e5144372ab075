import io

import pytest
from PIL import Image, features

from improved_gan.data.image_endings import IMAGE_SUFFIXES, holds_an_image

NOT_BY_CONTENT = (".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".qoi", ".tga", ".dib")


@pytest.mark.parametrize("ending", sorted(IMAGE_SUFFIXES))
def test_pillow_reads_every_ending_and_most_are_known_by_their_content(ending: str) -> None:
    if ending == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    kind = Image.registered_extensions()[ending]
    buffer = io.BytesIO()
    Image.new("1" if kind == "MSP" else "RGB", (6, 4)).save(buffer, kind)
    content = buffer.getvalue()
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.size == (6, 4)
    assert holds_an_image(content[:32]) is (ending not in NOT_BY_CONTENT)


@pytest.mark.parametrize(
    "content",
    [b"", b"B", b"BM", b"BMore than a bitmap", b"RIFF1234WAVEfmt", b"II", b"%PDF-1.7", b"\0" * 32, b"ftypavif"],
)
def test_what_is_no_image(content: bytes) -> None:
    assert not holds_an_image(content)

import base64
import html.parser
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from improved_gan.active_learning.annotation_page import AnnotationImage, annotation_page, image_data_uri
from improved_gan.active_learning.query import Prediction
from improved_gan.data import DataError

EVIL = "</script><script>alert(1)</script><!--&amp;\u2028'\""


def encoded(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **{"format": "PNG", **options})
    return buffer.getvalue()


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def image(name: str) -> AnnotationImage:
    return AnnotationImage(name, Prediction(name, (0.5, 0.5), 0.5, 0.69, "00"), "data:image/png;base64,AA==")


class Page(html.parser.HTMLParser):
    """Elements of a page, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data) -> None:
        if self.elements and self.elements[-1][0] == "script" and data.strip():
            self.scripts.append(data)


def test_names_stay_data_whatever_they_say() -> None:
    page = Page(annotation_page([image(EVIL)], [EVIL, "b"], labels={"old" + EVIL: EVIL}, next_command=EVIL))
    plain = Page(annotation_page([image("a")], ["c", "b"], labels={}, next_command=""))
    assert [name for name, _ in page.elements] == [name for name, _ in plain.elements]
    data = json.loads(page.scripts[0])
    assert data["images"][0]["file"] == EVIL
    assert data["classes"] == [EVIL, "b"]
    assert data["earlier"] == {"old" + EVIL: EVIL}
    assert len(page.scripts) == 2
    assert page.scripts[1] == plain.scripts[1]


def test_nothing_is_loaded_from_elsewhere_and_the_policy_says_so() -> None:
    page = Page(annotation_page([image("a")], ["b"], labels={}, next_command=""))
    for _, attributes in page.elements:
        assert attributes.get("src") is None
        assert (attributes.get("href") or "data:,") == "data:,"
    policy = next(a["content"] for name, a in page.elements if name == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert not re.search(r"unsafe|https?:|\*", policy)


def test_progress_belongs_to_the_images_on_the_page() -> None:
    def identity(*names: str) -> str:
        page = Page(annotation_page([image(name) for name in names], ["x"], labels={}, next_command=""))
        return str(json.loads(page.scripts[0])["id"])

    assert identity("a", "b") == identity("a", "b")
    assert len({identity("a"), identity("b"), identity("a", "b"), identity("b", "a")}) == 4


def test_small_pictures_stay_as_they_are_and_large_ones_become_small() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    uri = image_data_uri(encoded(pixels), "a")
    assert (np.asarray(decoded(uri)) == pixels).all()
    large = np.zeros((700, 1400, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera of a person"
    uri = image_data_uri(encoded(large, format="JPEG", exif=exif), "a")
    assert uri.startswith("data:image/jpeg;base64,")
    assert decoded(uri).size == (256, 512)  # upright
    assert not decoded(uri).getexif()
    with pytest.raises(DataError, match="cannot be read"):
        image_data_uri(b"no picture", "a")

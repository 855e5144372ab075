import base64
import html.parser
import io
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from improved_gan.active_learning.annotate import AnnotationImage, _next_command, annotation_page, image_data_uri
from improved_gan.active_learning.image_stream import ImageList
from improved_gan.active_learning.query import Prediction
from improved_gan.cli.classify import ClassifyOptions, classify_images
from improved_gan.data import DataError, load_digits
from improved_gan.data.folder_snapshot import IMAGES_FILE, REPORT_FILE
from improved_gan.data.image_sources import ImageSource
from improved_gan.data.value_range import ValueRange
from improved_gan.runs.run import Run
from tests.runs.made import settings_of

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


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Sixty test digits, and a copy of the first one."""
    (tmp_path / "images").mkdir()
    for index, image in enumerate(load_digits().test.images[:60]):
        Image.fromarray(image[0].numpy()).save(tmp_path / "images" / f"{index:02d}.png")
    shutil.copy(tmp_path / "images" / "00.png", tmp_path / "images" / "copy.png")
    return tmp_path / "images"


def go(run: Path, path: Path, **options: object) -> tuple[dict, list[str], str]:
    screen = io.StringIO()
    console, out = Console(file=screen, width=200), path.parent / "p.csv"
    classify_images(ClassifyOptions(run, (path,), out=out, **options), console)
    text = (path.parent / "p.annotate.html").read_text()
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text)[1])
    return data, [one["file"] for one in data["images"]], screen.getvalue()


def test_the_least_certain_images_are_on_the_page(trained_run: Path, images: Path, tmp_path: Path) -> None:
    data, shown, text = go(trained_run, images, annotate=8)
    table = [line.split(",") for line in (tmp_path / "p.csv").read_text().splitlines()[1:]]
    table.sort(key=lambda row: -float(row[-2]))
    names = [Path(row[0]).name for row in table]
    assert shown == [name for name in names if name != "copy.png"][:8]
    assert "8 images to label, the most uncertain" in text
    assert data["classes"] == list("0123456789")
    again = trained_run.with_name(f"{trained_run.name}-2")
    assert data["command"] == f"improved-gan train-folder --images {images} --labels labels.csv --out {again}"
    assert data["command"] in text.replace("\n", "")
    assert "save it here as labels.csv, and train again with the labels" in text


def test_earlier_labels_are_kept_and_not_asked_for_again(trained_run: Path, images: Path, tmp_path: Path) -> None:
    _, first, _ = go(trained_run, images, annotate=8)
    (tmp_path / "old.csv").write_text(f"file,label\n{first[0]},cow\n{first[1]},3\n")
    data, shown, _ = go(trained_run, images, annotate=8, labels=tmp_path / "old.csv")
    assert shown[:6] == first[2:]
    assert data["earlier"] == {first[0]: "cow", first[1]: "3"}
    assert data["classes"] == [*"0123456789", "cow"]
    (tmp_path / "old.csv").write_text("".join(f"{path.name},1\n" for path in images.iterdir()))
    with pytest.raises(DataError, match="nothing to annotate"):
        go(trained_run, images, annotate=8, labels=tmp_path / "old.csv")


def test_diverse_images_lie_farther_from_each_other(trained_run: Path, images: Path) -> None:
    def mean_distance(names: list[str]) -> float:
        pixels = np.stack([np.asarray(Image.open(images / name), dtype=float).ravel() for name in names])
        return float(np.linalg.norm(pixels[:, None] - pixels[None], axis=2).mean())

    _, certain, _ = go(trained_run, images, annotate=5)
    _, diverse, text = go(trained_run, images, annotate=5, diversity=True)
    assert diverse[0] == certain[0]
    assert diverse != certain
    assert mean_distance(diverse) > mean_distance(certain)
    assert "with distant features" in text


def test_names_that_no_labels_file_can_hold_are_left_out(trained_run: Path, images: Path) -> None:
    strange = images / b"caf\xe9.png".decode(errors="surrogateescape")
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(str(images / "x.png"))
    (images / "x.png").rename(strange)
    _, shown, text = go(trained_run, images, annotate=100)
    assert len(shown) == 60
    assert "cannot hold the name" in text


def test_class_folders_are_labels_and_unwritable_names_leave_no_gap(
    trained_run: Path, images: Path, tmp_path: Path
) -> None:
    (images / "3").mkdir()
    (images / "unlabeled").mkdir()
    for path in sorted(images.glob("*.png")):
        path.rename(images / ("3" if path.name < "10" else "unlabeled") / path.name)
    spaced = images / "unlabeled" / "11.png"
    spaced.rename(images / " 11.png")
    data, shown, _ = go(trained_run, images, annotate=49)
    assert data["earlier"] == {f"3/{number:02d}.png": "3" for number in range(10)}
    assert len(shown) == 49  # of 60: 10 have a label, one a name that begins with a space
    assert all(name.startswith("unlabeled/") for name in shown)
    assert "unlabeled/copy.png" not in shown


def test_several_paths_have_no_single_command() -> None:
    source = ImageSource(Path("x"), (), lambda: iter(()))
    images = ImageList([])
    images.parts = [("a/", source), ("b/", source)]
    assert _next_command(images, Run(Path("run")), None, None) == ""


def test_the_next_command_is_whole(tmp_path: Path) -> None:
    images = ImageList([])
    images.labels_root = tmp_path / "my cells"
    (tmp_path / "run-2").mkdir()
    (run := Run(tmp_path / "run")).begin(settings_of())
    command = _next_command(images, run, ValueRange(0, 4095), tmp_path / "old.csv")
    assert shlex.split(command) == [
        "improved-gan", "train-folder", "--images", str(tmp_path / "my cells"),
        "--labels", str(tmp_path / "old.csv"),
        "--value-range", "0:4095", "--out", str(tmp_path / "run-3"),
    ]  # fmt: skip


def test_a_part_of_the_runs_own_images_is_named_as_the_whole_is(
    trained_run: Path, images: Path, tmp_path: Path
) -> None:
    (images / "3").mkdir()
    (images / "unlabeled").mkdir()
    for number, path in enumerate(sorted(images.glob("*.png"))):
        path.rename(images / ("3" if number < 10 else "unlabeled") / path.name)
    run = shutil.copytree(trained_run, tmp_path / "run")
    (run / REPORT_FILE).write_text(json.dumps({"path": str(images), "size": 8}))
    (run / IMAGES_FILE).write_text("file,part,label,sha256\n3/00.png,train,3,0\n")
    (tmp_path / "old.csv").write_text("file,label\n3/01.png,3\nunlabeled/12.png,7\n")
    data, shown, _ = go(run, images / "unlabeled", annotate=5, labels=tmp_path / "old.csv")
    assert all(name.startswith("unlabeled/") and (images / name).is_file() for name in shown)
    assert data["earlier"] == {f"3/{number:02d}.png": "3" for number in range(10)} | {"unlabeled/12.png": "7"}
    assert data["command"].startswith(
        f"improved-gan train-folder --images {images} --labels {tmp_path / 'old.csv'} --out "
    )

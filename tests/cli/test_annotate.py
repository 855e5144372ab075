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

from improved_gan.active_learning.image_stream import ImageList
from improved_gan.cli.annotate import _next_command
from improved_gan.cli.classification import ClassifyOptions, run_classification
from improved_gan.data import DataError, load_digits
from improved_gan.data.folder_snapshot import IMAGES_FILE, REPORT_FILE
from improved_gan.data.image_sources import ImageSource
from improved_gan.data.value_range import ValueRange


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
    run_classification(ClassifyOptions(run, [path], out=out, **options), console)
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
    assert data["command"] == f"improved-gan train folder --images {images} --labels labels.csv --out {again}"
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
    assert _next_command(images, Path("run"), None, None) == ""


def test_the_next_command_is_whole(tmp_path: Path) -> None:
    images = ImageList([])
    images.labels_root = tmp_path / "my cells"
    (tmp_path / "run-2").mkdir()
    command = _next_command(images, tmp_path / "run", ValueRange(0, 4095), tmp_path / "old.csv")
    assert shlex.split(command) == [
        "improved-gan", "train", "folder", "--images", str(tmp_path / "my cells"),
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
        f"improved-gan train folder --images {images} --labels {tmp_path / 'old.csv'} --out "
    )

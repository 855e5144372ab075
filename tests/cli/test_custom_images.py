import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from improved_gan.cli.custom_images import ImageOptions
from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import train_on_images
from improved_gan.data import DataError
from improved_gan.runs import Run
from improved_gan.training.errors import RunError
from tests.data.test_folder import make
from tests.pictures import picture, png

pytestmark = pytest.mark.usefixtures("narrow_folder")


def shown(images: Path, out: Path, *, labels: int | None = None, dry_run: bool = False, validation: float = 0.2) -> str:
    """What the training prints."""
    console = Console(width=500, record=True, quiet=False, file=io.StringIO())
    own = ImageOptions(images, cache=out.parent / "cache", validation=validation)
    asked = TrainingOptions(epochs=1, out=out, device="cpu", threads=1, dry_run=dry_run)
    train_on_images(own, asked, console, labels=labels)
    return console.export_text()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return make(tmp_path / "images", cat=8, dog=8)


def test_a_run_keeps_what_it_was_trained_on_and_can_be_loaded_without_the_images(images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    text = shown(images, run)
    assert "2 classes from class folders: cat 7, dog 7" in text
    assert "14 labels of 14 training images" in text
    with (run / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["part"] for row in rows].count("validation") == 2
    assert json.loads((run / "images.json").read_text())["size"] == 32
    assert "validation/error" in (run / "log.jsonl").read_text()
    images.rename(tmp_path / "gone")
    trained = Run(run).load(warn=pytest.fail)
    assert (trained.run.class_names, trained.run.image_shape) == (["cat", "dog"], (3, 32, 32))


def test_images_that_changed_since_are_named_and_the_same_ones_go_on(images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shown(images, run, labels=0)
    assert "already complete" in shown(images, run, labels=0)
    (images / "cat/00.png").write_bytes(png(picture(99, (40, 50))))
    (images / "cat/new.png").write_bytes(png(picture(98, (40, 50))))
    (images / "dog/03.png").unlink()
    with pytest.raises(
        RunError, match=r"1 changed \(cat/00.png\), 1 new \(cat/new.png\), 1 missing \(dog/03.png\): restore them"
    ):
        shown(images, run, labels=0)


def test_a_dry_run_reports_and_writes_nothing(images: Path, tmp_path: Path) -> None:
    text = shown(images, tmp_path / "run", dry_run=True, validation=0.3)
    assert "12 labeled and 0 unlabeled training images, 4 validation images" in text
    assert not (tmp_path / "run").exists()


def test_what_is_not_read_is_said(images: Path, tmp_path: Path) -> None:
    (images / "cat" / "x.HEIC").touch()
    (images / "bird").mkdir()
    (images / "cat" / "dead.png").symlink_to(tmp_path / "nowhere")
    page = Image.new("RGB", (40, 40))
    page.save(images / "cat" / "pages.tif", save_all=True, append_images=[page, page])
    text = shown(images, tmp_path / "run", dry_run=True)
    for line in (
        "left out: 1 file not read as images (1 .heic): to use these files, convert them",
        "no image is in 1 folder: bird",
        "1 files hold 2 further pages or frames (cat/pages.tif: 2): only the first",
        "1 files cannot be used and are left out: cat/dead.png is a link that leads nowhere",
    ):
        assert f"warning: {line}" in text


def test_bad_use(images: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 labels cannot be divided evenly among 2 classes"):
        shown(images, tmp_path / "run", labels=1)
    with pytest.raises(DataError, match=r"take at most 14 labels"):
        shown(images, tmp_path / "run", labels=100)
    assert not (tmp_path / "run").exists()

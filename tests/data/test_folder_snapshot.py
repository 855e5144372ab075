"""The images of a run, read again from its records."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from improved_gan.data import DataError
from improved_gan.data.decoded_cache import Decoded, decode_images
from improved_gan.data.folder import CustomImages
from improved_gan.data.folder_snapshot import HEADER, hashes_of_part, load_recorded
from improved_gan.data.image_index import ImageIndex
from improved_gan.data.value_range import parse_value_range
from tests.data.test_folder import deep, load, make
from tests.pictures import picture, png


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return make(tmp_path / "images", cat=10, dog=10, unlabeled=5)


def record(own: CustomImages, run: Path) -> Path:
    run.mkdir()
    with (run / "images.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *own.rows])
    (run / "images.json").write_text(json.dumps(own.report.as_dict()))
    return run


def test_the_same_data_again_also_where_images_were_added_or_moved(images: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(
        "file,label\n" + "".join(f"{name}/{num:02d}.png,{name}\n" for name in ("cat", "dog") for num in range(10))
    )
    before = load(images, tmp_path, labels=file).dataset
    run = record(load(images, tmp_path, labels=file), tmp_path / "run")
    file.unlink()
    moved = Path(shutil.move(images, tmp_path / "moved"))
    (moved / "cat/0-new.png").write_bytes(png(picture(77, (40, 50))))
    with pytest.raises(DataError, match=r"lay in .*images, which is not there: name the folder with --data"):
        load_recorded(None, run=run, class_names=before.class_names)
    again = load_recorded(moved, run=run, class_names=before.class_names)
    assert (again.class_names, again.test_kind) == (("cat", "dog"), "validation")
    assert again.held_out == before.held_out
    for one, other in ((again.train, before.train), (again.test, before.test)):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_images_that_are_not_those_of_the_run_are_named(images: Path, tmp_path: Path) -> None:
    run = record(load(images, tmp_path), tmp_path / "run")
    (images / "cat/03.png").write_bytes(png(picture(99, (40, 50))))
    (images / "dog/04.png").unlink()
    with pytest.raises(DataError, match=r"1 changed \(cat/03.png\), 1 gone \(dog/04.png\): put them back"):
        load_recorded(None, run=run, class_names=("cat", "dog"))


def test_images_that_pillow_no_longer_decodes_are_named(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = load(images, tmp_path)
    run = record(own, tmp_path / "run")

    def fewer(scan: ImageIndex, **options: Any) -> Decoded:
        found = decode_images(scan, **options)
        return replace(found, images=found.images[1:], bad={0: "has a broken stream"})

    monkeypatch.setattr("improved_gan.data.folder_snapshot.decode_images", fewer)
    with pytest.raises(DataError, match=r"1 images that .* can no longer be decoded \(the first, .*, has a broken"):
        load_recorded(None, run=run, class_names=own.dataset.class_names)


def test_a_run_without_records(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not say which images it was trained on"):
        load_recorded(None, run=tmp_path, class_names=())


def test_a_run_reads_its_images_with_its_own_value_range(tmp_path: Path) -> None:
    images = deep(tmp_path / "images")
    before = load(images, tmp_path, values=parse_value_range("1%:99%"))
    run = record(before, tmp_path / "run")
    again = load_recorded(None, run=run, class_names=before.dataset.class_names)
    assert again.value_range == before.dataset.value_range
    assert torch.equal(again.train.images, before.dataset.train.images)
    trained = {row[3] for row in before.rows if row[1] == "train"}
    assert hashes_of_part(run, "train") == trained
    assert hashes_of_part(tmp_path, "train") == frozenset()

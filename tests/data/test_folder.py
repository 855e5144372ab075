import hashlib
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.data import DataError
from improved_gan.data.folder import CustomImages, FolderOptions, Selection, load_folder
from improved_gan.data.folder_labels import read_labeling
from improved_gan.data.image_index import index_images
from improved_gan.data.image_sources import open_images
from improved_gan.data.images import center_crop_resize
from improved_gan.data.value_range import ValueRange, parse_value_range
from tests.pictures import picture, png
from tests.tiffs import tiff


def test_every_image_that_can_be_used_is_trained_on_or_held_out(tmp_path: Path) -> None:
    folder = make(tmp_path / "images", cat=10, dog=10)
    scan = index_images(open_images(folder), workers=1)
    labeling = read_labeling(folder, scan.names, scan.names, labels=None, use_labels=True)
    good = np.setdiff1d(np.arange(20), [3])
    chosen = Selection.of(scan, labeling, good, 0.2)
    assert len(chosen.names) == 19
    assert sorted([*chosen.train_rows, *chosen.evaluated]) == list(range(19))
    assert chosen.kind == "validation"
    assert np.bincount(chosen.labels[chosen.evaluated]).tolist() == [1, 2]  # a fifth of 9 and of 10, rounded down


def make(folder: Path, **counts: int) -> Path:
    """Class folders; "_" in a name is a slash."""
    seed = 0
    for place, num in counts.items():
        here = folder / place.replace("_", "/")
        here.mkdir(parents=True)
        for number in range(num):
            (here / f"{number:02d}.png").write_bytes(png(picture(seed := seed + 1, (40, 50))))
    return folder


def load(path: Path, tmp_path: Path, **options: object) -> CustomImages:
    return load_folder(FolderOptions(path, tmp_path / "cache", workers=2, **options))  # type: ignore[arg-type]


def notices(own: CustomImages) -> str:
    return "\n".join(own.report.warnings())


def test_class_folders_with_unlabeled_images(tmp_path: Path) -> None:
    own = load(make(tmp_path / "images", cat=10, dog=15, unlabeled=5), tmp_path)
    data = own.dataset
    assert (data.class_names, data.image_shape, data.test_kind) == (("cat", "dog"), (3, 32, 32), "validation")
    assert data.test.labels.bincount().tolist() == [2, 3]
    assert data.train.labels.add(1).bincount().tolist() == [5, 10, 15]
    assert len(data.held_out) == 5
    for place, row in enumerate(data.held_out):
        assert torch.equal(data.train.images[row], data.test.images[place])
        assert data.train.labels[row] == data.test.labels[place]
    parts = [part for _, part, _, _ in own.rows]
    assert (parts.count("train"), parts.count("validation")) == (25, 5)
    name, _, label, digest = own.rows[0]
    assert (name, label) == ("cat/00.png", "cat")
    assert digest == hashlib.sha256((tmp_path / "images" / name).read_bytes()).hexdigest()
    lines = "\n".join(own.report.lines())
    assert "30 images, 50x40 pixels in the middle" in lines
    assert "cat 8, dog 12" in lines
    assert "20 labeled and 5 unlabeled training images, 5 validation images" in lines


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_archives_give_the_same(tmp_path: Path, form: str) -> None:
    folder = make(tmp_path / "images", cat=8, dog=8)
    packed = tmp_path / f"images.{form}"
    if form == "zip":
        with zipfile.ZipFile(packed, "w") as archive:
            for path in folder.rglob("*.png"):
                archive.write(path, path.relative_to(folder))
    else:
        with tarfile.open(packed, "w:gz") as archive:
            archive.add(folder, arcname="images")
    one, other = load(folder, tmp_path).dataset, load(packed, tmp_path).dataset
    assert torch.equal(one.train.images, other.train.images)
    assert torch.equal(one.train.labels, other.train.labels)
    assert (one.held_out, one.digest) == (other.held_out, other.digest)


def test_train_and_val_as_imagenet_has_them(tmp_path: Path) -> None:
    folder = make(tmp_path / "images", train_cat=6, train_dog=6, val_cat=2, val_dog=2, test_cat=1)
    shutil.copy(folder / "train/cat/00.png", folder / "val/cat/copy.png")
    own = load(folder, tmp_path)
    assert len(own.dataset.train) == 12
    assert own.dataset.held_out == ()
    assert len(own.dataset.test) == 4
    assert "1 validation images have the same content as training images" in notices(own)
    assert "2 images are outside train and validation" in "\n".join(own.report.lines())


def test_bad_files_copies_and_contradictions_are_told_and_the_rest_is_used(tmp_path: Path) -> None:
    folder = make(tmp_path / "images", cat=12, dog=12)
    (folder / "cat/99.png").write_text("no image")
    (folder / "dog/98.png").write_bytes(png(picture(5, (60, 60)))[:3000])
    shutil.copy(folder / "cat/00.png", folder / "cat/copy.png")
    shutil.copy(folder / "cat/01.png", folder / "dog/copy.png")
    own = load(folder, tmp_path)
    found = notices(own)
    assert (
        "2 files cannot be used and are left out: cat/99.png cannot be read: no known image format; dog/98.png" in found
    )
    assert "2 files are copies of each other in different classes (cat/01.png, dog/copy.png)" in found
    assert "2 training images are copies of others" in found
    by_name = {name: (part, label) for name, part, label, _ in own.rows}
    assert by_name["cat/01.png"] == by_name["dog/copy.png"] == ("train", "")
    assert by_name["cat/00.png"][0] == by_name["cat/copy.png"][0] == "train"
    assert "cat/99.png" not in by_name


def test_the_same_from_memory_and_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "images", cat=12, dog=12)
    memory = load(folder, tmp_path).dataset
    monkeypatch.setattr("improved_gan.data.decoded_cache.decode_images.__kwdefaults__", {"small": 0})
    cached = load(folder, tmp_path)
    assert cached.report.decoded.file is not None
    assert torch.equal(cached.dataset.train.images, memory.train.images)
    assert torch.equal(cached.dataset.test.images, memory.test.images)


def test_a_labels_file_for_a_flat_folder(tmp_path: Path) -> None:
    folder = make(tmp_path / "images", all=30)
    (tmp_path / "labels.csv").write_text("".join(f"{n:02d}.png,{'ab'[n % 2]}\n" for n in range(20)))
    own = load(folder / "all", tmp_path, labels=tmp_path / "labels.csv", validation=0.3)
    assert own.dataset.class_names == ("a", "b")
    assert own.dataset.test.labels.bincount().tolist() == [3, 3]
    assert own.dataset.train.labels.add(1).bincount().tolist() == [10, 10, 10]


def test_what_cannot_be_trained_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 6 images to train on, at least 10 are needed"):
        load(make(tmp_path / "few", cat=3, dog=3), tmp_path)
    with pytest.raises(DataError, match=r"fraction of validation images must be at least 0 and below 1; got 1"):
        load(tmp_path / "few", tmp_path, validation=1.0)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_text("no image")
    with pytest.raises(DataError, match=r"none of the 1 images .*can be read .*a.png, cannot be read: no known"):
        load(tmp_path / "bad", tmp_path)
    with pytest.raises(DataError, match=r"smaller than 64 pixels .*take --size 32"):
        load(tmp_path / "few", tmp_path, size=64)


def deep(folder: Path, *, low: int = 0, high: int = 4096, num: int = 12) -> Path:
    """Class folders of 16-bit images whose values lie in low..high - 1."""
    dice = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(num):
            content = tiff(dice.integers(low, high, (34, 40)).astype(np.uint16))
            (folder / name / f"{number:02d}.tif").write_bytes(content)
    return folder


def test_twelve_bits_in_sixteen_are_told_and_a_range_mends_it(tmp_path: Path) -> None:
    images = deep(tmp_path / "images")
    dark = load(images, tmp_path)
    assert dark.dataset.train.images.max() <= 17
    assert "--value-range 0:4095" in notices(dark)
    whole = load(images, tmp_path, values=parse_value_range("0:4095"))
    assert notices(whole) == ""
    assert whole.dataset.value_range == (0, 4095)
    assert whole.report.as_dict()["value_range"] == [0, 4095]
    assert "values from 0 (black) to 4095 (white) become 0 to 255" in "\n".join(whole.report.lines())
    expected = center_crop_resize(
        (images / "cat/00.tif").read_bytes(), "x", channels=3, size=32, values=ValueRange(0, 4095)
    )
    assert any(torch.equal(expected, one) for one in (*whole.dataset.train.images, *whole.dataset.test.images))


def test_percentiles_are_of_the_training_images_alone(tmp_path: Path) -> None:
    images = deep(tmp_path / "images")
    own = load(images, tmp_path, values=parse_value_range("2%:98%"))
    trained = [tiff_values(images / name) for name, part, _, _ in own.rows if part == "train"]
    everything = [tiff_values(images / name) for name, _, _, _ in own.rows]
    low, high = np.percentile(np.concatenate(trained), (2, 98), method="inverted_cdf")
    assert own.dataset.value_range == (low, high)
    assert (low, high) != tuple(np.percentile(np.concatenate(everything), (2, 98), method="inverted_cdf"))
    assert "(2%:98% of the training images' values)" in "\n".join(own.report.lines())


def tiff_values(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))[:, 3:37].ravel()  # the central square of 34 x 40


def test_images_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    images = deep(tmp_path / "images")
    (images / "cat/03.tif").write_bytes(tiff(np.full((34, 40), np.nan, np.float32)))
    (images / "cat/04.png").write_bytes(png(picture(1, (40, 50))))
    own = load(images, tmp_path, values=parse_value_range("0:4095"))
    assert "cat/03.tif has 1360 of 1360 pixels that are NaN or infinite" in notices(own)
    assert "cat/04.png has 8 bits, 0 to 255, and the value range is 0:4095" in notices(own)
    for path in images.rglob("*.*"):
        path.write_bytes(tiff(np.ones((34, 40), np.float32)))
    with pytest.raises(DataError, match=r"none of the 25 images .* holds floating point, .*--value-range LOW:HIGH"):
        load(images, tmp_path)

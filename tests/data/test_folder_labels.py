from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.data.folder_labels import Labeling, read_labeling
from tests.pictures import picture, png


def make(folder: Path, names: list[str]) -> list[str]:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(picture(seed)))
    return sorted(names)


def read(folder: Path, names: list[str], labels: Path | None = None, *, use_labels: bool = True) -> Labeling:
    return read_labeling(folder, names, names, labels=labels, use_labels=use_labels)


CLASSES = ["10/a.png", "10/b.png", "9/c.png", "9/d.png", "unlabeled/e.png"]


def test_class_folders_numbers_in_their_order(tmp_path: Path) -> None:
    found = read(tmp_path, make(tmp_path, CLASSES))
    assert found.class_names == ("9", "10")
    assert found.labels.tolist() == [1, 1, 0, 0, -1]
    assert found.source == "class folders"


def test_a_labels_file_that_disagrees_with_the_folders_is_an_error(tmp_path: Path) -> None:
    names = make(tmp_path / "images", CLASSES)
    (tmp_path / "labels.csv").write_text("10/a.png,9\n10/b.png,10\n9/c.png,9\n")
    with pytest.raises(
        DataError, match=r"1 labels disagree with the class folder of the image \(10/a.png: 9\): move these"
    ):
        read(tmp_path / "images", names, tmp_path / "labels.csv")


def test_a_labels_file_for_some_images_leaves_the_others_the_labels_of_their_class_folders(tmp_path: Path) -> None:
    names = make(tmp_path / "images", [*CLASSES, "unlabeled/f.png"])
    for label in ("10", "emu"):  # a new class too: the folder `unlabeled` says that the others are classes
        (tmp_path / "labels.csv").write_text(f"unlabeled/e.png,{label}\n9/d.png,\n9/c.png,-1\n")
        found = read(tmp_path / "images", names, tmp_path / "labels.csv")
        assert found.source == f"labels file {tmp_path / 'labels.csv'} and class folders"
        labels = [None if one < 0 else found.class_names[one] for one in found.labels]
        assert labels == ["10", "10", "9", "9", label, None]
        assert len(found.notices) == (label == "emu")  # which has a single label


def test_folders_that_no_label_is_named_after_are_no_classes(tmp_path: Path) -> None:
    names = make(tmp_path / "images", ["2024/a.png", "2024/b.png", "2025/c.png", "2025/d.png", "2025/e.png"])
    (tmp_path / "labels.csv").write_text("2024/a.png,cat\n2024/b.png,dog\n2025/c.png,cat\n2025/d.png,dog\n")
    found = read(tmp_path / "images", names, tmp_path / "labels.csv")
    assert (found.class_names, found.labels.tolist()) == (("cat", "dog"), [0, 1, 0, 1, -1])
    assert "not taken for classes, as no label has their name (2024, 2025)" in found.notices[0]


def test_no_labels_at_all(tmp_path: Path) -> None:
    flat = make(tmp_path / "flat", ["a.png", "b.png"])
    assert read(tmp_path / "flat", flat).class_names == ()
    one = make(tmp_path / "one", ["cats/a.png", "cats/b.png"])
    assert "all images are in one folder, cats" in read(tmp_path / "one", one).notices[0]
    both = make(tmp_path / "both", CLASSES)
    assert read(tmp_path / "both", both, use_labels=False).class_names == ()


@pytest.mark.parametrize(
    ("names", "labels", "message"),
    [
        (
            ["cat/a.png", "cat/b.png", "unlabeled/c.png"],
            None,
            "only one class, cat .*two classes, or to train .*--num-labels 0",
        ),
        (["a.png", "b.png"], "a.png,cat\nb.png,cat\n", "only one class, cat"),
        (
            ["cat/a.png", "dog/b.png", "dog/c.png"],
            None,
            r"1 of 2 class folders .* only one image .*\(cat\): add images",
        ),
        (
            ["train/cat/a.png", "train/cat/b.png", "train/dog/a.png", "train/dog/b.png", "val/emu/a.png"],
            None,
            "validation or test part that no training image has: emu",
        ),
        (["train/a.png", "val/b.png"], "val/b.png,cat\n", "no labels for training images"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, names: list[str], labels: str | None, message: str) -> None:
    file = None
    if labels is not None:
        file = tmp_path / "labels.csv"
        file.write_text(labels)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "images", make(tmp_path / "images", names), file)


TWO = ["cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png"]


@pytest.mark.parametrize("folder", ["NaN", "None", "NULL", "?", "-1", "-1.0", "NA"])
def test_class_folders_follow_the_rule_of_all_labels(tmp_path: Path, folder: str) -> None:
    found = read(tmp_path, make(tmp_path, [*TWO, f"{folder}/e.png"]))
    assert found.class_names == ("cat", "dog")
    assert sorted(found.labels.tolist()) == [-1, 0, 0, 1, 1]
    assert len(found.notices) == (not folder.startswith("-1"))


@pytest.mark.parametrize("folder", ["unknown", "no label", "none", "not labelled"])
def test_class_folders_that_may_be_no_class_are_asked_about(tmp_path: Path, folder: str) -> None:
    with pytest.raises(DataError, match=f"class folders: the label '{folder}' may be a class .* unlabeled"):
        read(tmp_path, make(tmp_path, [*TWO, f"{folder}/e.png"]))


def test_folders_that_say_nothing_may_have_any_name(tmp_path: Path) -> None:
    names = make(tmp_path / "images", ["unknown/a.png", "unknown/b.png", "none/c.png", "none/d.png"])
    (tmp_path / "labels.csv").write_text("unknown/a.png,cat\nunknown/b.png,dog\nnone/c.png,cat\nnone/d.png,dog\n")
    assert read(tmp_path / "images", names, tmp_path / "labels.csv").class_names == ("cat", "dog")


def test_minus_one_beside_a_single_class_is_explained(tmp_path: Path) -> None:
    names = make(tmp_path / "images", ["a.png", "b.png"])
    (tmp_path / "labels.csv").write_text("a.png,1\nb.png,-1\n")
    with pytest.raises(DataError, match=r"only one class, 1 \(.*; -1 and empty labels mean that none is known\)"):
        read(tmp_path / "images", names, tmp_path / "labels.csv")


def test_accents_composed_or_not_are_one_class_and_capitals_are_told(tmp_path: Path) -> None:
    names = ["cafe\u0301/a.png", "caf\u00e9/b.png", "dog/c.png", "dog/d.png", "Dog/e.png", "Dog/f.png"]
    found = read(tmp_path, make(tmp_path, names))
    assert found.class_names == ("Dog", "caf\u00e9", "dog")
    assert found.notices == ("classes that differ only in capitals are kept as different classes: Dog, dog",)


def test_notices_of_the_labels_file_reach_the_labeling(tmp_path: Path) -> None:
    names = make(tmp_path / "images", ["a.png", "b.png", "c.png", "d.png", "e.png"])
    (tmp_path / "labels.csv").write_text("a.png,1.0\nb.png,1.0\nc.png,0.0\nd.png,0.0\ne.png,NaN\n")
    found = read(tmp_path / "images", names, tmp_path / "labels.csv")
    assert (found.class_names, found.labels.tolist()) == (("0", "1"), [1, 1, 0, 0, -1])
    assert "the label 'NaN' taken as no label known" in found.notices[0]

import io
import tarfile
from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.data.folder_labels import Labeling, read_labeling, read_labels_beside
from tests.pictures import picture, png


def shard(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


IMAGE = png(picture(0))
NAMES = [f"{number:04d}.png" for number in range(4)]
IMAGES = dict.fromkeys(NAMES, IMAGE)


def test_the_three_kinds_in_one_shard(tmp_path: Path) -> None:
    texts = {f"{number:04d}.txt": b"12" for number in (0, 2, 3)}
    labels = texts | {"0000.cls": b"7\n", "0001.json": b'{"width": 3, "label": 12}'}
    path = shard(tmp_path / "a.tar", IMAGES | labels)
    assert read_labels_beside(path, NAMES)[0] == {"0000.png": "7", "0001.png": "12", "0002.png": "12", "0003.png": "12"}


def test_a_folder_of_shards_and_a_plain_folder(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for number in range(2):
        shard(tmp_path / "shards" / f"{number}.tar", {"1.png": IMAGE, "1.cls": str(number).encode()})
    found = read_labels_beside(tmp_path / "shards", ["0.tar/1.png", "1.tar/1.png"])[0]
    assert found == {"0.tar/1.png": "0", "1.tar/1.png": "1"}
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "x.png").write_bytes(IMAGE)
    (folder / "x.cls").write_text("3")
    (folder / "notes.json").write_text("not JSON, and beside no image")
    assert read_labels_beside(folder, ["x.png"])[0] == {"x.png": "3"}


def test_captions_are_no_classes(tmp_path: Path) -> None:
    captions = {f"{number:04d}.txt": f"a photograph of thing {number}".encode() for number in range(4)}
    assert read_labels_beside(shard(tmp_path / "a.tar", IMAGES | captions), NAMES)[0] == {}
    names = {f"{number:04d}.txt": b"cat" if number % 2 else b"dog" for number in range(4)}
    assert set(read_labels_beside(shard(tmp_path / "b.tar", IMAGES | names), NAMES)[0].values()) == {"cat", "dog"}


def test_a_label_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", IMAGES | {"0001.json": b"{"})
    with pytest.raises(DataError, match=r"a.tar: 0001.json cannot be read as a label"):
        read_labels_beside(path, NAMES)


def beside(folder: Path, files: dict[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return read_labels_beside(folder, sorted(name for name in files if name.lower().endswith((".png", ".jpg"))))


@pytest.mark.parametrize(
    ("file", "content", "label"),
    [
        ("a.cls", "-1", None),
        ("a.cls", "-1.0\n", None),
        ("a.cls", "", None),
        ("a.cls", "NaN", None),
        ("a.cls", "3.0", "3"),
        ("a.json", '{"label": 1.0}', "1"),
        ("a.json", '{"label": -1.0}', None),
        ("a.json", '{"label": -1}', None),
        ("a.json", '{"label": NaN}', None),
        ("a.json", '{"label": "null"}', None),
        ("a.json", '{"label": null, "class_name": "cat"}', "cat"),
        ("a.json", '{"label": true}', "true"),
        ("a.json", "2", "2"),
        ("a.json", "[2]", None),
        ("a.json", '{"width": 2}', None),
        ("a.txt", "N/A", None),
        ("a.txt", "-1", None),
    ],
)
def test_what_one_file_says(tmp_path: Path, file: str, content: str, label: str | None) -> None:
    found, notices = beside(tmp_path, {"a.png": "", file: content})
    assert found == ({} if label is None else {"a.png": label})
    assert len(notices) == (content in ("NaN", '{"label": NaN}', '{"label": "null"}', "N/A"))


@pytest.mark.parametrize("value", ["0.5", "[1, 2]", '{"id": 3}', "1e999"])
def test_a_json_label_that_is_no_class_is_told(tmp_path: Path, value: str) -> None:
    found, notices = beside(tmp_path, {"a.png": "", "a.json": f'{{"label": {value}}}'})
    assert found == {}
    assert notices == (f"1 .json label not used, neither text nor a whole number: {tmp_path}: a.json",)


def test_what_may_be_a_class_is_asked_about_here_too(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="labels beside the images: the label 'unknown' may be a class"):
        beside(tmp_path, {"a.png": "", "a.cls": "unknown"})


def test_names_with_several_points(tmp_path: Path) -> None:
    files = {"a.1.png": "", "a.1.cls": "cat", "a.2.png": "", "b.png": "", "b.cls": "dog"}
    assert beside(tmp_path, files)[0] == {"a.1.png": "cat", "b.png": "dog"}


def test_the_files_of_a_webdataset_sample(tmp_path: Path) -> None:
    assert beside(tmp_path, {"0.left.png": "", "0.right.png": "", "0.cls": "3"})[0] == {
        "0.left.png": "3",
        "0.right.png": "3",
    }
    assert beside(tmp_path, {"1.png": "", "1.label.cls": "4"})[0]["1.png"] == "4"


def test_two_files_of_one_kind_for_an_image_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png has two labels beside it \(a\.2\.cls is one\): keep one"):
        beside(tmp_path, {"a.png": "", "a.1.cls": "cat", "a.2.cls": "dog"})


def test_spellings_of_names_and_files_that_belong_to_no_image(tmp_path: Path) -> None:
    found, notices = beside(
        tmp_path, {"IMG_1.JPG": "", "img_1.cls": "cat", "cafe\u0301.png": "", "caf\u00e9.cls": "dog", "z.cls": "5"}
    )
    assert found == {"IMG_1.JPG": "cat", "cafe\u0301.png": "dog"}
    assert notices == ("1 .cls file without an image: z.cls",)


def test_deeply_nested_json_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"a\.json cannot be read as a label \(nested too deeply\): repair or remove it"
    ):
        beside(tmp_path, {"a.png": "", "a.json": "[" * 100_000})


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
    assert "the label 'NaN' treated as unlabeled" in found.notices[0]

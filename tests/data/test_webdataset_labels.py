import io
import tarfile
from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.data.webdataset_labels import labels_beside, read_labels_beside
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
    assert labels_beside(path, NAMES) == {"0000.png": "7", "0001.png": "12", "0002.png": "12", "0003.png": "12"}


def test_a_folder_of_shards_and_a_plain_folder(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for number in range(2):
        shard(tmp_path / "shards" / f"{number}.tar", {"1.png": IMAGE, "1.cls": str(number).encode()})
    found = labels_beside(tmp_path / "shards", ["0.tar/1.png", "1.tar/1.png"])
    assert found == {"0.tar/1.png": "0", "1.tar/1.png": "1"}
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "x.png").write_bytes(IMAGE)
    (folder / "x.cls").write_text("3")
    (folder / "notes.json").write_text("not JSON, and beside no image")
    assert labels_beside(folder, ["x.png"]) == {"x.png": "3"}


def test_captions_are_no_classes(tmp_path: Path) -> None:
    captions = {f"{number:04d}.txt": f"a photograph of thing {number}".encode() for number in range(4)}
    assert labels_beside(shard(tmp_path / "a.tar", IMAGES | captions), NAMES) == {}
    names = {f"{number:04d}.txt": b"cat" if number % 2 else b"dog" for number in range(4)}
    assert set(labels_beside(shard(tmp_path / "b.tar", IMAGES | names), NAMES).values()) == {"cat", "dog"}


def test_a_label_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", IMAGES | {"0001.json": b"{"})
    with pytest.raises(DataError, match=r"a.tar: 0001.json cannot be read as a label"):
        labels_beside(path, NAMES)


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
    with pytest.raises(DataError, match=r"a\.json cannot be read as a label \(nested too deeply\): mend or remove it"):
        beside(tmp_path, {"a.png": "", "a.json": "[" * 100_000})

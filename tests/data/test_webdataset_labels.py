import io
import tarfile
from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.data.webdataset_labels import labels_beside
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

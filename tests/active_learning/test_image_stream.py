import zipfile
from pathlib import Path

import pytest
from PIL import Image

from improved_gan.active_learning.image_stream import ImageList, decoder
from improved_gan.data import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images" / "b").mkdir(parents=True)
    for name in ("z.png", "b/y.png", "a,\"'.png"):
        Image.new("L", (2, 2)).save(tmp_path / "images" / name)
    return tmp_path / "images"


def test_folders_archives_and_files_in_order(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for name in ("2.png", "1.png"):
            archive.write(folder / "z.png", name)
    images = ImageList([folder / "b", tmp_path / "some.zip", folder, folder / "z.png"])  # some images twice
    names = [f"{folder}/b/y.png", f"{tmp_path}/some.zip/1.png", f"{tmp_path}/some.zip/2.png",
             f"{folder}/a,\"'.png", f"{folder}/z.png"]  # fmt: skip
    assert list(images.files()) == names
    assert len(images) == 5
    streamed = [(name, read()) for name, read in images.stream()]
    assert [name for name, _ in streamed] == names
    assert {content for _, content in streamed} == {(folder / "z.png").read_bytes()}
    assert images.within(names[0]) == names[0]
    assert [ImageList([folder]).within(name) for name in names[3:]] == ["a,\"'.png", "z.png"]
    assert ImageList([folder, folder / "b"]).labels_root == folder
    monkeypatch.chdir(folder)
    assert list(ImageList([Path()]).files()) == ["a,\"'.png", "b/y.png", "z.png"]


def test_an_image_counts_once_however_its_path_is_spelled(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("some.zip", "w") as archive:
        archive.write(folder / "z.png", "b/1.png")
    (tmp_path / "linked").symlink_to(folder / "b")
    (folder / "same.png").symlink_to(folder / "z.png")  # an image of its own, as in one folder
    paths = [Path("images"), folder, Path("linked"), folder / "z.png", Path("images/../images/b/y.png"),
             Path("some.zip"), tmp_path / "some.zip"]  # fmt: skip
    names = ["images/a,\"'.png", "images/b/y.png", "images/same.png", "images/z.png", "some.zip/b/1.png"]
    assert list(ImageList(paths).files()) == names
    assert [name for name, _ in ImageList(paths).stream()] == names
    assert list(ImageList([Path("linked"), Path("images/b")]).files()) == ["linked/y.png"]


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file or folder"):
        ImageList([tmp_path / "nothing"])
    with pytest.raises(DataError, match="holds no images"):
        ImageList([tmp_path])


def test_pixels_as_the_network_was_trained_on_them(tmp_path: Path) -> None:
    """Wide, white in the middle square, black beside it: a square network sees white only."""
    picture = Image.new("L", (12, 4), 0)
    picture.paste(255, (4, 0, 8, 4))
    picture.save(tmp_path / "wide.png")
    content = (tmp_path / "wide.png").read_bytes()
    square = decoder((3, 4, 4), resize=False, invert=False, square=True)("wide.png", content)
    assert square.shape == (3, 4, 4)
    assert square.min() == 255
    assert decoder((1, 4, 4), resize=False, invert=True, square=True)("wide.png", content).max() == 0
    stretched = decoder((1, 4, 4), resize=True, invert=False, square=False)("wide.png", content)
    assert stretched.min() < 50
    with pytest.raises(DataError, match="is 12x4 in mode L"):
        decoder((1, 4, 4), resize=False, invert=False, square=False)("wide.png", content)


def test_names_inside_a_root(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def named(path: Path, root: Path | None) -> tuple[list[str], Path | None]:
        images = ImageList([path], root=root)
        return [images.within(name) for name in images.files()], images.labels_root

    everything = (["a,\"'.png", "b/y.png", "z.png"], folder)
    assert named(folder, folder) == everything
    assert named(folder / "b", folder) == (["b/y.png"], folder)
    assert named(folder / "b" / "y.png", folder) == (["b/y.png"], folder)
    assert named(folder / "b", None) == (["y.png"], folder / "b")
    assert named(folder / "b", tmp_path / "gone") == (["y.png"], folder / "b")
    outside = tmp_path / "outside"
    outside.mkdir()
    Image.new("L", (2, 2)).save(outside / "w.png")
    assert named(outside, folder) == (["w.png"], outside)
    (folder / "more").symlink_to(outside)
    assert named(folder / "more", folder) == (["more/w.png"], folder)
    (outside / "link.png").symlink_to(folder / "z.png")
    assert named(outside / "link.png", folder) == (["link.png"], outside / "link.png")
    monkeypatch.chdir(folder)
    assert named(Path("b"), folder) == (["b/y.png"], folder)
    assert ImageList([folder / "b"], root=folder).labels_names == (
        "a,\"'.png",
        "b/y.png",
        "more/link.png",
        "more/w.png",
        "z.png",
    )

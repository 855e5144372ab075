import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from improved_gan.data import DataError, image_sources
from improved_gan.data.image_sources import ImageSource, open_images, walk
from improved_gan.data.left_out import SAMPLE_OVERVIEWS, LeftOut
from tests.pictures import folder_of, picture, png


def test_files_and_dead_links_but_no_pipes_and_no_leftovers(tmp_path: Path) -> None:
    (tmp_path / "a" / ".hidden").mkdir(parents=True)
    (tmp_path / "a" / ".hidden" / "1.png").touch()
    (tmp_path / "a" / "1.png").touch()
    (tmp_path / "dead.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    left_out = LeftOut()
    assert sorted(walk(tmp_path, left_out)) == [tmp_path / "a" / "1.png", tmp_path / "dead.png"]
    assert left_out.lines()[0] == ("left out: 1 folder hidden or left by programs (.hidden); 1 pipe or device")


def test_a_folder_that_cannot_be_opened_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path: str) -> object:  # rights do not stop the superuser
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=r"the folder .*closed cannot be opened \(Permission denied\): give the right"):
        list(walk(tmp_path, LeftOut()))


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    """1,200 folders in each other, the last hundred with long names; pytest could not remove them."""
    names = ["d"] * 1100 + ["e" * 50] * 100
    before = os.open(".", os.O_RDONLY)
    os.chdir(tmp_path)
    for name in names:
        os.mkdir(name)  # noqa: PTH102  (by steps: no path can name the last ones)
        os.chdir(name)
    os.fchdir(before)
    yield tmp_path
    os.chdir(tmp_path)
    for name in names:
        os.chdir(name)
    for name in reversed(names):
        os.chdir("..")
        for file in Path().glob("*.png"):
            file.unlink()
        os.rmdir(name)  # noqa: PTH106
    os.fchdir(before)
    os.close(before)


def test_a_thousand_levels_and_more_than_a_path_can_name(deep_folder: Path) -> None:
    Path(f"{deep_folder}{1000 * '/d'}/deep.png").touch()
    files = walk(deep_folder, LeftOut())
    assert next(files) == Path(f"{deep_folder}{1000 * '/d'}/deep.png")
    with pytest.raises(DataError, match=r"the folder .{200} \.\.\. cannot be opened \(File name too long\): give the"):
        list(files)


def contents(source: ImageSource) -> dict[str, bytes]:
    found = [(name, read()) for name, read in source.stream()]
    assert [name for name, _ in found] == list(source.names)
    return dict(found)


def test_a_folder_in_order_of_name_with_those_below(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", 3)
    (folder / "b").mkdir()
    (folder / "b" / "x.JPEG").write_bytes(b"x")
    (folder / "notes.txt").write_text("no image")
    found = contents(open_images(folder))
    assert list(found) == ["000.png", "001.png", "002.png", "b/x.JPEG"]
    assert found["001.png"] == png(picture(1))


@pytest.mark.parametrize("overview", sorted(SAMPLE_OVERVIEWS))
def test_grids_and_galleries_beside_the_images_of_sample_are_no_images(tmp_path: Path, overview: str) -> None:
    folder_of(tmp_path / "run" / "images", 2)
    for name in (overview, f"run/{overview}", "run/other.png"):
        (tmp_path / name).write_bytes(png(picture(1)))
    source = open_images(tmp_path)
    assert sorted(source.names) == sorted((overview, "run/images/000.png", "run/images/001.png", "run/other.png"))
    assert source.notices == ("left out: 1 sample overview",)


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", 2)
    (folder / "loop").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.png").write_bytes(b"far")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "one.png").symlink_to(folder / "000.png")
    source = open_images(folder)
    assert source.names == ("000.png", "001.png", "broken.png", "linked/far.png", "one.png")
    assert source.notices == ("left out: 1 folder read under another name, too (loop); 1 dead link",)
    reads = dict(source.stream())
    assert reads["one.png"]() == png(picture(0))
    with pytest.raises(DataError, match=r"it is a link that leads nowhere \(.*nowhere\.png\)"):
        reads["broken.png"]()


def pack_tar(path: Path, folder: Path, mode: str) -> None:
    with tarfile.open(path, mode) as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, file.name)
            label = tarfile.TarInfo(f"{file.stem}.cls")  # as in a WebDataset shard
            label.size = 1
            archive.addfile(label, io.BytesIO(b"7"))


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.xz", "w:xz")]
)
def test_tar_archives_without_unpacking(tmp_path: Path, name: str, mode: str) -> None:
    folder = folder_of(tmp_path / "a", 5)
    pack_tar(tmp_path / name, folder, mode)
    assert contents(open_images(tmp_path / name)) == contents(open_images(folder))


def test_zip_archives_and_a_bad_entry_that_spoils_only_itself(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", 3)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("__MACOSX/._000.png", b"")
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    assert contents(open_images(tmp_path / "a.zip")) == contents(open_images(folder))
    raw = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(raw.replace(png(picture(1)), b"?" * len(png(picture(1)))))
    reads = dict(open_images(tmp_path / "a.zip").stream())
    assert reads["000.png"]() == png(picture(0))
    with pytest.raises(DataError, match="CRC"):
        reads["001.png"]()


def test_a_folder_of_shards(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for index in range(2):
        pack_tar(tmp_path / "shards" / f"{index}.tar", folder_of(tmp_path / f"f{index}", 2, seed=10 * index), "w")
    found = contents(open_images(tmp_path / "shards"))
    assert list(found) == ["0.tar/000.png", "0.tar/001.png", "1.tar/000.png", "1.tar/001.png"]
    assert found["1.tar/001.png"] == png(picture(11))


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*nowhere: give a folder of images or an archive"):
        open_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no images \(\.apng, "):
        open_images(tmp_path)
    (tmp_path / "a.png").write_bytes(png(picture(0)))
    with pytest.raises(DataError, match=r"a\.png is neither a folder nor an archive"):
        open_images(tmp_path / "a.png")
    for name in ("bad.zip", "bad.tar"):
        (tmp_path / name).write_bytes(os.urandom(2000))
        with pytest.raises(DataError, match="cannot be read as an archive"):
            open_images(tmp_path / name)


def test_zip_entries_of_one_name_are_each_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", b"second")
    assert [read() for _, read in open_images(tmp_path / "a.zip").stream()] == [b"first", b"second"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damaged_compressed_entries_spoil_only_themselves(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        for name in ("a.png", "b.png"):
            archive.writestr(name, png(picture(0)))
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    raw[35 + 10 : 35 + 14] = b"\xff" * 4
    (tmp_path / "a.zip").write_bytes(raw)
    reads = dict(open_images(tmp_path / "a.zip").stream())
    assert reads["b.png"]() == png(picture(0))
    with pytest.raises(DataError):
        reads["a.png"]()


def test_huge_files_and_entries_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_sources, "MAX_BYTES", 1000)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.png").write_bytes(bytes(1001))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "a" / "a.png", "a.png")
    for name in ("a", "a.zip"):
        ((_, read),) = open_images(tmp_path / name).stream()
        with pytest.raises(DataError, match=r"it has 1,001 bytes, at most 1,000 are read"):
            read()


def packed(folder: Path, kind: str) -> Path:
    """The folder itself, or an archive of it, folders included."""
    path = folder.with_suffix(f".{kind}")
    if kind == "folder":
        return folder
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, str(file.relative_to(folder)))
        return path
    with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as archive:
        archive.add(folder, ".")  # names begin with ./
    return path


KINDS = pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])


@KINDS
def test_leftovers_and_other_endings_by_one_rule_in_folders_and_archives(tmp_path: Path, kind: str) -> None:
    root = folder_of(tmp_path / "photos" / "cat", 2).parent
    for name in (".ipynb_checkpoints/a.png", "cat/@eaDir/000.png/T.jpg", "__MACOSX/cat/._000.png",
                 "cat/.thumbnails/1.jpg", "cat/._000.png", "cat/1.HEIC", "cat/2.nd2", "labels.csv",
                 "cat/readme"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "bird").mkdir()
    (root / "cat" / "noending").write_bytes(png(picture(7)))
    (root / "cat" / "3.jfif").write_bytes(b"jpeg")
    source = open_images(packed(root, kind))
    found = contents(source)
    assert list(found) == ["cat/000.png", "cat/001.png", "cat/3.jfif", "cat/noending"]
    assert found["cat/noending"] == png(picture(7))
    first, second = source.notices
    assert first.startswith("left out: 3 files not read as images (1 .heic, 1 .nd2, 1 without an ending); 4 fol")
    assert all(one in first for one in (".ipynb_checkpoints", "@eaDir", "__MACOSX", ".thumbnails"))
    assert second == "no image is in 1 folder: bird"


@KINDS
def test_backslashes_are_slashes_in_folders_and_archives(tmp_path: Path, kind: str) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("set\\cat\\1.png", "set\\dog\\2.png"):
        (tmp_path / "photos" / name).write_bytes(name.encode())
    found = contents(open_images(packed(tmp_path / "photos", kind)))
    assert found == {"set/cat/1.png": b"set\\cat\\1.png", "set/dog/2.png": b"set\\dog\\2.png"}


def test_archives_beside_images_are_told_and_a_folder_of_archives_tells_for_all(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", 1)
    (folder / "notes.heic").write_bytes(b"x")
    (tmp_path / "shards").mkdir()
    for number in range(2):
        packed(folder, "zip").rename(tmp_path / "shards" / f"{number}.zip")
    (tmp_path / "shards" / "more.avi").touch()
    source = open_images(tmp_path / "shards")
    assert source.names == ("0.zip/000.png", "1.zip/000.png")
    assert source.notices[0].startswith("left out: 3 files not read as images (2 .heic, 1 .avi)")
    (tmp_path / "shards" / "1.png").write_bytes(b"x")
    source = open_images(tmp_path / "shards")
    assert source.names == ("1.png",)
    assert "(2 .zip, 1 .avi)" in source.notices[0]


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "1.HEIC").touch()
    with pytest.raises(DataError, match=r"holds no images .*; left out: 1 file .* \(1 \.heic\).*convert them to PNG"):
        open_images(tmp_path)

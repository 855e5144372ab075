import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from improved_gan.data import DataError, image_sources
from improved_gan.data.archives import TarIndex, open_zip
from improved_gan.data.image_sources import open_images
from improved_gan.data.left_out import LeftOut
from tests.pictures import picture, png


def entries(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def test_names_with_backslashes_and_their_folders(tmp_path: Path) -> None:
    path = entries(tmp_path / "a.zip", {"set\\": b"", "set\\dog\\": b"", "set\\cat\\2": b"\x89PN", "set\\cat\\1": b"x"})
    left_out = LeftOut()
    names, contents = open_zip(path, lambda _, beginning: beginning() == b"\x89PN", left_out, lambda _: None)
    assert names == ("set/cat/2",)
    assert list(contents()) == [("set/cat/2", b"\x89PN")]
    assert left_out.lines()[1] == "no image is in 1 folder: set/dog"


def test_an_archive_that_changes_in_between_is_an_error(tmp_path: Path) -> None:
    path = entries(tmp_path / "a.zip", {"1": b"a", "2": b"b"})
    _, contents = open_zip(path, lambda *_: True, LeftOut(), lambda _: None)
    assert list(contents()) == [("1", b"a"), ("2", b"b")]
    entries(path, {"2": b"b", "1": b"a"})
    with pytest.raises(zipfile.BadZipFile, match="changed"):
        list(contents())


KINDS = [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tar.xz", "w:xz"), ("a.tar.bz2", "w:bz2")]
FILES = {f"{index:03d}.png": png(picture(index)) for index in range(8)}


def pack(path: Path, mode: str, files: dict[str, bytes], links: dict[str, tuple[bytes, str]] | None = None) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, (kind, target) in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            archive.addfile(entry)
    return path


def read_all(path: Path) -> list[tuple[str, bytes]]:
    return [(name, read()) for name, read in open_images(path).stream()]


@pytest.mark.parametrize(("name", "mode"), KINDS)
def test_images_come_in_order_of_name_whatever_the_order_in_the_archive(tmp_path: Path, name: str, mode: str) -> None:
    mixed = list(FILES.items())
    random.Random(0).shuffle(mixed)
    source = open_images(pack(tmp_path / name, mode, dict(mixed)))
    assert list(source.names) == sorted(FILES)
    assert [(one, read()) for one, read in source.stream()] == sorted(FILES.items())


@pytest.mark.parametrize(("name", "mode"), KINDS[:2])
def test_links_are_images_too(tmp_path: Path, name: str, mode: str) -> None:
    links = {"b/hard.png": (tarfile.LNKTYPE, "003.png"), "b/soft.png": (tarfile.SYMTYPE, "../004.png")}
    path = pack(tmp_path / name, mode, FILES, links | {"b/x.png": (tarfile.SYMTYPE, "nowhere.png")})
    reads = dict(open_images(path).stream())
    assert (reads["b/hard.png"](), reads["b/soft.png"]()) == (FILES["003.png"], FILES["004.png"])
    with pytest.raises(DataError, match="is a link to no image here"):
        reads["b/x.png"]()


def test_the_index_says_where_each_image_lies(tmp_path: Path) -> None:
    index = TarIndex.of(pack(tmp_path / "a.tar", "w", FILES), lambda name, _: name.endswith("3.png"), LeftOut())
    raw = (tmp_path / "a.tar").read_bytes()
    assert index.names == ["003.png"]
    assert raw[index.offsets[0] : index.offsets[0] + index.sizes[0]] == FILES["003.png"]


def test_a_cut_archive_is_an_error_wherever_it_is_cut(tmp_path: Path) -> None:
    raw = pack(tmp_path / "a.tar", "w", FILES).read_bytes()
    end = len(raw.rstrip(b"\0"))
    for length in (100, 512, *range(1024, end, 512), *range(700, end, 700)):
        (tmp_path / "a.tar").write_bytes(raw[:length])
        with pytest.raises(
            DataError, match=r"a\.tar cannot be read as an archive \([^\n]*\): copy or download it again$"
        ):
            open_images(tmp_path / "a.tar")


def test_a_damaged_header_and_a_second_archive_behind_the_end_are_errors(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", "w", FILES)
    raw = path.read_bytes()
    place = raw.index(b"004.png")
    for damage in (b"?" * 512, bytes(512)):
        path.write_bytes(raw[:place] + damage + raw[place + 512 :])
        with pytest.raises(DataError, match=f"{place} bytes|more follows after its end"):
            open_images(path)
    path.write_bytes(raw + raw)
    with pytest.raises(DataError, match="more follows after its end"):
        open_images(path)


@pytest.mark.parametrize(("name", "mode"), KINDS[1:])
def test_damage_in_a_compressed_archive_is_one_line(tmp_path: Path, name: str, mode: str) -> None:
    raw = pack(tmp_path / name, mode, FILES).read_bytes()
    dice = random.Random(0)
    for _ in range(40):
        place = dice.randrange(12, len(raw) - 12)
        cut = dice.random() < 0.5
        (tmp_path / name).write_bytes(raw[:place] + (b"" if cut else bytes([raw[place] ^ 0x55]) + raw[place + 1 :]))
        with pytest.raises(DataError, match=r"cannot be read as an archive \([^\n]+\): copy or download it again$"):
            read_all(tmp_path / name)


def test_an_archive_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    source = open_images(pack(tmp_path / "a.tar", "w", FILES))
    raw = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(raw[:1500])
    with pytest.raises(DataError, match="it has become shorter"):
        list(source.stream())


def test_huge_entries_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_sources, "MAX_BYTES", 1000)
    reads = dict(open_images(pack(tmp_path / "a.tar", "w", {"a.png": b"x" * 1000, "b.png": b"x" * 1001})).stream())
    assert reads["a.png"]() == b"x" * 1000
    with pytest.raises(DataError, match=r"it has 1,001 bytes, at most 1,000 are read"):
        reads["b.png"]()

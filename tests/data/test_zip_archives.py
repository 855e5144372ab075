import zipfile
from pathlib import Path

import pytest

from improved_gan.data.left_out import LeftOut
from improved_gan.data.zip_archives import open_zip


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

import unicodedata
import zipfile

import pytest

from improved_gan.data.file_names import NameTable, plain_name, stem_of, zip_name


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("cat/1.png", "cat/1.png"),
        ("set\\cat\\1.png", "set/cat/1.png"),
        (".\\cat\\1.png", "cat/1.png"),
        ("./cat/1.png", "cat/1.png"),
        ("cat/./1.png", "cat/1.png"),
        ("/cat//1.png", "cat/1.png"),
        ("C:\\photos\\1.png", "C:/photos/1.png"),
        ("../1.png", "../1.png"),
        ("a. /1.png", "a. /1.png"),
    ],
)
def test_names_of_every_system(written: str, plain: str) -> None:
    assert plain_name(written) == plain


def test_a_zip_that_holds_utf8_without_saying_so() -> None:
    for name in ("café/1.png", "日本/1.png"):
        entry = zipfile.ZipInfo(name.encode().decode("cp437"))
        assert zip_name(entry) == name
        flagged = zipfile.ZipInfo(name)
        flagged.flag_bits = 0x800
        assert zip_name(flagged) == name
    assert zip_name(zipfile.ZipInfo("ünf/1.png")) == "ünf/1.png"  # cp437, no UTF-8


@pytest.mark.parametrize(
    ("name", "stem"), [("a.1.png", "a.1"), ("x.y/a", "x.y/a"), ("b/a.tar.gz", "b/a.tar"), (".a", ".a")]
)
def test_a_stem_loses_the_last_ending_only(name: str, stem: str) -> None:
    assert stem_of(name) == stem


def test_names_written_otherwise_are_found() -> None:
    decomposed = unicodedata.normalize("NFD", "café/É.png")
    table = NameTable([decomposed, "Cat/IMG_1.JPG", "dog/2.png"])
    assert table.find(decomposed) == decomposed
    assert table.find("café/É.png") == decomposed
    assert table.find("CAFÉ\\é.PNG") == decomposed
    assert table.find("cat/img_1.jpg") == "Cat/IMG_1.JPG"
    assert table.find("dog/3.png") is None
    assert not table.is_ambiguous("dog/3.png")


def test_collisions_are_found_as_they_stand_or_not_at_all() -> None:
    composed, decomposed = "é.png", unicodedata.normalize("NFD", "é.png")
    table = NameTable([composed, decomposed, "a.png", "A.png", "b.png"])
    for name in (composed, decomposed, "a.png", "A.png"):
        assert table.find(name) == name
    assert table.find("a.PNG") is None
    assert table.is_ambiguous("a.PNG")
    assert table.is_ambiguous("É.png")
    assert table.find("B.png") == "b.png"
    assert not table.is_ambiguous("B.png")

from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.data.labels_file import read_labels, read_labels_file

NAMES = ("a.jpg", "b, c.jpg", "sub/d.jpg", "e.jpg")


def read(folder: Path, content: str | bytes, name: str = "labels.csv") -> dict[str, str]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labels(path, NAMES, folder / "images")


EXPECTED = {"a.jpg": "cat", "b, c.jpg": 'a "big" dog', "sub/d.jpg": "cat"}
ROWS = 'a.jpg,cat\n"b, c.jpg","a ""big"" dog"\nsub/d.jpg,cat\n'


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        "file,label\n" + ROWS,
        "\ufefffile,label\r\n" + ROWS.replace("\n", "\r\n") + "\r\n",
        ROWS + "e.jpg,\n",
        ROWS + "e.jpg,-1\n",
        ROWS + "a.jpg,cat\n",  # twice the same says nothing new
        ROWS.replace("sub/d.jpg", "sub\\d.jpg"),
        ROWS.replace("sub/d.jpg", "./sub/d.jpg"),
        ROWS.replace("a.jpg", "images/a.jpg", 1),
        'Label;Confidence;Filename\ncat;0.5;a.jpg\n"a ""big"" dog";1;b, c.jpg\ncat;1;sub/d.jpg\n',
        "\n \n" + ROWS,  # blank lines before the first row
        "\r\nfile;label\r\n" + ROWS.replace(",", ";").replace("b; c", "b, c"),
        '"b, c.jpg";"a ""big"" dog"\na.jpg;cat\nsub/d.jpg;cat\n',  # a comma within quotes
        'a.jpg\tcat\nb, c.jpg\t"a ""big"" dog"\nsub/d.jpg\tcat\n',
    ],
)
def test_every_way_to_write_it(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == EXPECTED


def test_names_relative_to_the_labels_file_and_absolute(tmp_path: Path) -> None:
    assert read(tmp_path, "../images/a.jpg,cat\n", "deep/labels.csv") == {"a.jpg": "cat"}
    assert read(tmp_path, f"{tmp_path}/images/sub/d.jpg,dog\n") == {"sub/d.jpg": "dog"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty: write one row an image"),
        ("file,label\n", "gives no label to any image"),
        ("a.jpg,\n", "gives no label to any image"),
        ("x.jpg,cat\ny.jpg,dog\n", r"none of the 2 files .* is an image in .*images \(x.jpg, y.jpg\): write names"),
        (
            "a.jpg,cat\nx.jpg,cat\n",
            r"has labels for 1 files that are not among the images .* \(x.jpg\): correct or remove these rows$",
        ),
        (
            "a.jpg,cat\ngrid.png,cat\n",
            r"\(grid.png\): correct or .* rows \(beside a folder images, grid.png of `sample`",
        ),
        ("run/nearest.png,cat\n", r"labels file \(beside a folder images, nearest.png of `sample` is left out"),
        ("a.jpg,cat\na.jpg,dog\n", r"gives two labels to 1 files \(a.jpg \(cat, dog\)\): keep one"),
        ("a.jpg,cat\n./a.jpg,dog\n", "gives two labels to 1 files"),
        (
            "a,b,c\na.jpg,cat,1\n",
            r"its first row \(a,b,c\) is not recognized .* name the column of images one of file,",
        ),
        ("filename,diagnosis\na.jpg,cat\n", r"its first row \(filename,diagnosis\) is not recognized as a header"),
        ("bild,klasse\na.jpg,cat\nb.jpg,dog\n", r"its first row \(bild,klasse\) .* and that of labels one of label,"),
        ("file,label\na.jpg\n", "line 2: 1 columns, so the label is missing"),
        ('a.jpg,"cat\n', "line 1: unexpected end of data: fix the quotes"),
        (b"a.jpg,\xff\xfe\n", "is not UTF-8 text"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.csv cannot be read: No such file"):
        read_labels(tmp_path / "none.csv", NAMES, tmp_path)


@pytest.mark.parametrize("word", ["NaN", "nan", "None", "NULL", "N/A", "?", "<NA>"])
def test_missing_values_in_words_give_no_label_and_a_notice(tmp_path: Path, word: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"file,label\na.jpg,cat\nsub/d.jpg,{word}\ne.jpg,{word}\n")
    labels, (notice,) = read_labels_file(path, NAMES, tmp_path / "images")
    assert labels == {"a.jpg": "cat"}
    assert f"labels.csv: 2 labels '{word}' treated as unlabeled" in notice


@pytest.mark.parametrize("word", ["", "-1", "-1.0", " -1 "])
def test_minus_one_and_nothing_give_no_label_without_a_word(tmp_path: Path, word: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"file,label\na.jpg,cat\ne.jpg,{word}\n")
    assert read_labels_file(path, NAMES, tmp_path / "images") == ({"a.jpg": "cat"}, ())


@pytest.mark.parametrize("word", ["unknown", "no label", "none", "Unlabeled", "-"])
def test_words_that_may_be_a_class_are_asked_about(tmp_path: Path, word: str) -> None:
    with pytest.raises(
        DataError, match=rf"labels\.csv: the label '{word}' may be a class .* if it is a class, rename it"
    ):
        read(tmp_path, f"a.jpg,cat\ne.jpg,{word}\n")


def test_integers_that_a_table_wrote_as_floats(tmp_path: Path) -> None:
    assert read(tmp_path, "a.jpg,1.0\ne.jpg,0.0\nsub/d.jpg,nan\n") == {"a.jpg": "1", "e.jpg": "0"}


def test_names_and_labels_in_other_spellings(tmp_path: Path) -> None:
    path, names = tmp_path / "labels.csv", ("Caf\u00e9/A.JPG", "x/b.jpg")
    path.write_text("cafe\u0301\\a.jpg,cafe\u0301\nX\\B.jpg,dog\n", encoding="utf-8")
    assert read_labels(path, names, tmp_path / "images") == {"Caf\u00e9/A.JPG": "caf\u00e9", "x/b.jpg": "dog"}
    path.write_text("A.jpg,cat\n")
    with pytest.raises(
        DataError, match=r"several that differ in capitals or accents only \(A\.jpg\): write these names as"
    ):
        read_labels(path, ("a.jpg", "a.JPG"), tmp_path / "images")
    path.write_text("a.jpg,cat\na.JPG,dog\n")
    assert read_labels(path, ("a.jpg", "a.JPG"), tmp_path / "images") == {"a.jpg": "cat", "a.JPG": "dog"}

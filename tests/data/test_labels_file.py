from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.data.labels_file import read_labels

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
        ("a.jpg,cat\nx.jpg,cat\n", r"has labels for 1 files that are not among the images .* \(x.jpg\): correct or"),
        ("a.jpg,cat\na.jpg,dog\n", r"gives two labels to 1 files \(a.jpg \(cat, dog\)\): keep one"),
        ("a.jpg,cat\n./a.jpg,dog\n", "gives two labels to 1 files"),
        (
            "a,b,c\na.jpg,cat,1\n",
            r"its first row \(a,b,c\) is not recognised .* call the column of images one of file,",
        ),
        ("filename,diagnosis\na.jpg,cat\n", r"its first row \(filename,diagnosis\) is not recognised as a header"),
        ("bild,klasse\na.jpg,cat\nb.jpg,dog\n", r"its first row \(bild,klasse\) .* and that of labels one of label,"),
        ("file,label\na.jpg\n", "line 2: 1 columns, so the label is missing"),
        ('a.jpg,"cat\n', "line 1: unexpected end of data: mend the quotes"),
        (b"a.jpg,\xff\xfe\n", "is not UTF-8 text"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.csv cannot be read: No such file"):
        read_labels(tmp_path / "none.csv", NAMES, tmp_path)

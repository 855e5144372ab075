from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.labelling.labels_file import read_labels


def test_csv_tsv_header_and_quoted_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('file,label\n"a,""b"".png",cat\n"new\nline.png",dog\nempty.png,\n\nx.png,cat\n')
    assert read_labels(tmp_path / "a.csv") == {'a,"b".png': "cat", "new\nline.png": "dog", "x.png": "cat"}
    (tmp_path / "a.tsv").write_text("﻿x,1.png\tcat\n")
    assert read_labels(tmp_path / "a.tsv") == {"x,1.png": "cat"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("a.png\n", "row 1: two fields"), ("a.png,cat\na.png,dog\n", "labels a.png both cat and dog")],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_labels(tmp_path / "a.csv")


def test_no_file_and_no_text(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("a.csv", "b.csv"):
        with pytest.raises(DataError, match="cannot be read as labels"):
            read_labels(tmp_path / name)

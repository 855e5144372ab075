import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.active_learning.csv_index import RowTable, csv_row, fields_of, read_rows, whole_rows

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.data())
def test_any_names_come_back_and_a_cut_at_any_byte_loses_only_the_last_row(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    rows = [csv_row([name, "7", digest(name)]) for name in names]
    assert [fields_of(row)[0] for row in rows] == names
    whole = b"".join(rows)
    cut = data.draw(st.integers(0, len(whole)))
    path = tmp_path_factory.getbasetemp() / "cut.csv"
    path.write_bytes(whole[:cut])
    columns, end = whole_rows(path, 0, 3)
    complete, total = 0, 0
    for row in rows:
        if total + len(row) > cut:
            break
        complete, total = complete + 1, total + len(row)
    assert (len(columns[0]), end) == (complete, total)
    table = RowTable.of([columns])
    for number, name in enumerate(names):
        found = table.find(name)
        if number >= complete:
            assert found is None
        else:
            assert found is not None
            content, file, start, size = found
            assert (content, file) == (int(digest(name)[:16], 16), 0)
            assert whole[start : start + size] == rows[number]


def test_the_newest_row_of_an_image_counts(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(csv_row(["a", "1", digest("old")]) + csv_row(["b", "1", digest("b")]))
    (tmp_path / "new").write_bytes(csv_row(["a", "1", digest("mid")]) + csv_row(["a", "1", digest("new")]))
    table = RowTable.of([whole_rows(tmp_path / name, 0, 3)[0] for name in ("old", "new")])
    assert table.find("a")[:2] == (int(digest("new")[:16], 16), 1)
    assert table.find("b")[1] == 0


@pytest.mark.parametrize("damage", [b"\0" * 40, b"a,1\n", b"a,1,nothex\n", b'"open,1,aa\n'])
def test_rows_end_where_the_file_is_damaged(tmp_path: Path, damage: bytes) -> None:
    good = csv_row(["a", "1", digest("a")])
    (tmp_path / "file").write_bytes(good + damage + csv_row(["b", "1", digest("b")]))
    columns, end = whole_rows(tmp_path / "file", 0, 3)
    assert (len(columns[0]), end) == (1, len(good))


def test_names_that_are_no_unicode_survive() -> None:
    name = b"caf\xe9.png".decode(errors="surrogateescape")
    assert b"caf\xe9.png" in csv_row([name, "x"])
    assert fields_of(csv_row([name, "x"]))[0] == name


def test_places_of_rows(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b'a,"b\nc"\nd,e\nf')
    with (tmp_path / "file").open("rb") as file:
        assert list(read_rows(file)) == [(0, b'a,"b\nc"\n'), (8, b"d,e\n")]

import csv
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.active_learning.predictions import (
    Finished,
    Predictions,
    RowTable,
    csv_row,
    fields_of,
    read_rows,
    whole_rows,
)
from improved_gan.data import DataError
from tests.mutations import mutations

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


COLUMNS = ["file", "label", "sha256"]


def row(file: str, label: str = "cat", content: str = "") -> list[str]:
    return [file, label, hashlib.sha256((content or file).encode()).hexdigest()]


def open_at(folder: Path, identity: int = 1) -> Predictions:
    return Predictions(folder / "p.csv", COLUMNS, {"step": identity})


def read(folder: Path) -> list[list[str]]:
    with (folder / "p.csv").open(newline="") as file:
        return list(csv.reader(file))


def write(folder: Path, *rows: list[str]) -> Finished:
    with open_at(folder) as predictions:
        predictions.append(rows)
        return predictions.finish([one[0] for one in rows], without=())


def test_rows_come_in_the_order_of_the_images_and_the_card_says_what_made_them(tmp_path: Path) -> None:
    with open_at(tmp_path) as predictions:
        predictions.append([row("b", "dog"), row("a")])
        assert not (tmp_path / "p.csv").exists()
        done = predictions.finish(["a", "bad", "b"], without={"bad"})
    assert (done.rows, dict(done.labels), done.changed) == (2, {"cat": 1, "dog": 1}, True)
    assert read(tmp_path) == [COLUMNS, row("a"), row("b", "dog")]
    card = json.loads((tmp_path / "p.csv.json").read_text())
    assert card["sha256"] == hashlib.sha256((tmp_path / "p.csv").read_bytes()).hexdigest()
    assert card["identity"] == {"step": 1}
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == ["p.csv", "p.csv.json"]


def test_a_stopped_run_goes_on_after_its_last_whole_row(tmp_path: Path) -> None:
    with open_at(tmp_path) as predictions:
        predictions.append([row("a"), row("b")])
    with (tmp_path / "p.csv.part").open("ab") as file:
        file.write(b'"torn\n row, with')
    with open_at(tmp_path) as predictions:
        assert predictions.num_kept == 2
        states = [predictions.state(file, row(file)[2]) for file in ("a", "b", "c")]
        assert states == ["known", "known", "new"]
        assert predictions.state("a", row("x")[2]) == "changed"
        predictions.append([row("c")])
        predictions.finish("abc", without=())
    assert read(tmp_path) == [COLUMNS, row("a"), row("b"), row("c")]


def test_finished_changed_added_removed_and_unreadable_images(tmp_path: Path) -> None:
    write(tmp_path, row("a"), row("b"), row("c"))
    with open_at(tmp_path) as predictions:
        assert not predictions.finish("abc", without=()).changed
    with open_at(tmp_path) as predictions:
        predictions.append([row("b", "dog", "other"), row("0")])
        assert predictions.finish(["0", "a", "b"], without=()).changed
    assert read(tmp_path)[1:] == [row("0"), row("a"), row("b", "dog", "other")]
    with open_at(tmp_path) as predictions:
        assert predictions.finish(["0", "a", "b"], without={"b"}).rows == 2
    assert read(tmp_path)[1:] == [row("0"), row("a")]
    with open_at(tmp_path) as predictions:
        assert predictions.finish(["a", "0"], without=()).changed  # another order is another file


def test_rows_of_another_run_are_not_used(tmp_path: Path) -> None:
    write(tmp_path, row("a"))
    with open_at(tmp_path, identity=2) as predictions:
        assert predictions.state("a", row("a")[2]) == "new"
        predictions.append([row("b")])
    with open_at(tmp_path) as predictions:
        assert predictions.num_kept == 0
        assert predictions.state("a", row("a")[2]) == "known"


def test_rows_of_another_run_are_replaced(tmp_path: Path) -> None:
    write(tmp_path, row("a"))
    with open_at(tmp_path, identity=2) as predictions:
        predictions.append([row("a", "dog")])
        predictions.finish("a", without=())
    assert read(tmp_path) == [COLUMNS, row("a", "dog")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.csv", "file,label\nmine,cat\n", "p.csv exists and was not written by classify"),
        ("p.csv.json", '{"sha256": 1}', "p.csv.json, which would be written beside p.csv, is another file"),
        ("p.csv.part", "half a download", "p.csv.part, which would hold rows temporarily, is another file"),
    ],
)
def test_another_file_is_never_overwritten(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=f"{message}.*give another --out"):
        write(tmp_path, row("a"))
    found = {path.name: path.read_text() for path in tmp_path.iterdir() if path.suffix != ".lock"}
    assert found == {name: content}


def test_a_file_changed_by_hand_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path, row("a"))
    with (tmp_path / "p.csv").open("a") as file:
        file.write("mine,cat,00\n")
    with pytest.raises(DataError, match="was changed since classify wrote it"):
        write(tmp_path, row("a"))
    assert read(tmp_path)[-1][0] == "mine"
    assert not (tmp_path / "p.csv.part").exists()


def test_only_one_process_at_a_time(tmp_path: Path) -> None:
    with open_at(tmp_path), pytest.raises(DataError, match="another process is writing"):
        open_at(tmp_path)
    assert not (tmp_path / "p.csv.part").exists()


def test_a_stop_between_card_and_file_loses_no_row_of_the_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, row("a"))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, open_at(tmp_path) as predictions:
        predictions.append([row("b")])
        patch.setattr(
            "improved_gan.active_learning.predictions.write_atomically", lambda path, text: path.write_bytes(text)
        )
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            predictions.finish("ab", without=())
    assert read(tmp_path) == [COLUMNS, row("a")]
    with open_at(tmp_path) as predictions:
        assert predictions.num_kept == 1
        predictions.append([row("a")])
        predictions.finish("ab", without=())
    assert read(tmp_path) == [COLUMNS, row("a"), row("b")]


@pytest.mark.parametrize("damaged", ["p.csv", "p.csv.json", "p.csv.part"])
def test_damaged_files_are_told_or_their_rows_made_again(tmp_path: Path, damaged: str) -> None:
    write(tmp_path, row("a"), row('b, "c"'))
    with open_at(tmp_path, 2) as predictions:
        predictions.append([row("a"), row('b, "c"')])
    contents = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    outcomes = set()
    for number, content in enumerate(mutations(contents[damaged], seed=7)):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, whole in contents.items():
            (folder / name).write_bytes(content if name == damaged else whole)
        try:
            with open_at(folder, 2) as predictions:
                outcomes.add(predictions.num_kept)
                predictions.append([row("a"), row('b, "c"')])
                predictions.finish(["a", 'b, "c"'], without=())
            assert read(folder) == [COLUMNS, row("a"), row('b, "c"')]
        except DataError:
            outcomes.add(-1)
    assert outcomes == {-1} if damaged == "p.csv" else len(outcomes) > 1  # OUT itself is never replaced when changed

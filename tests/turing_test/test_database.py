import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from improved_gan.turing_test import judging
from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.database import back_up, check_ours, database_url, open_database, writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.judging import Answer
from improved_gan.turing_test.writer import Writer
from tests.turing_test.started import started


def test_addresses() -> None:
    assert database_url("sqlite:///a.db") == "sqlite:///a.db"
    assert database_url("postgres://h/d") == "postgresql+psycopg://h/d"
    with pytest.raises(TuringTestError, match="not mysql"):
        database_url("mysql://h/d")


def test_opening_twice_changes_nothing_and_both_kinds_work(database: str) -> None:
    open_database(database).dispose()
    engine = open_database(database)
    with writing(engine) as connection:
        assert connection.execute(text("select version from schema_version")).scalar() == 1
    engine.dispose()


def test_what_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("this is no database, but text that is long enough to be read as a header")
    for address in (str(tmp_path / "other"), str(tmp_path / "no" / "folder.db"), "postgresql://u:secret@127.0.0.1:1/x"):
        with pytest.raises(TuringTestError, match="cannot be used") as caught:
            open_database(address)
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)
    with pytest.raises(TuringTestError, match="there is no database"):
        open_database(str(tmp_path / "none.db"), must_exist=True)


def test_an_address_with_a_port_of_letters_is_one_line_without_its_password() -> None:
    with pytest.raises(TuringTestError, match="the port a number") as caught:
        open_database("postgresql://me:secret@host:abc/db")
    assert "secret" not in str(caught.value)


def test_a_database_of_another_schema_is_refused(tmp_path: Path) -> None:
    engine = open_database(str(tmp_path / "x.db"))
    with writing(engine) as connection:
        connection.execute(text("update schema_version set version = 9999"))
    engine.dispose()
    with pytest.raises(TuringTestError, match=r"9999.*this version reads 1"):
        open_database(str(tmp_path / "x.db"))


def foreign(path: Path, *statements: str, mode: str = "DELETE") -> dict[str, bytes]:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={mode}")
    for statement in statements or ("create table bookmarks (x)", "insert into bookmarks values (7)"):
        connection.execute(statement)
    connection.commit()
    connection.close()
    return contents(path.parent)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("must_exist", [True, False])
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_another_programs_file_is_refused_and_left_as_it_was_to_the_byte(tmp_path, mode: str, must_exist: bool) -> None:
    for number, statements in enumerate(
        ((), ("create table study (x)",), ("create table schema_version (x)", "create table a (x)"))
    ):
        path = tmp_path / f"{number}" / "a name?with#signs%20.sqlite"
        path.parent.mkdir()
        before = foreign(path, *statements, mode=mode)
        with pytest.raises(TuringTestError, match="another program"):
            open_database(str(path), must_exist=must_exist)
        assert contents(path.parent) == before


def test_another_programs_log_that_a_crash_left_is_not_moved(tmp_path) -> None:
    path, copy = tmp_path / "a" / "x.db", tmp_path / "b"
    path.parent.mkdir()
    copy.mkdir()
    foreign(path, mode="WAL")
    connection = sqlite3.connect(path)
    connection.execute("create table more (y)")
    for one in path.parent.iterdir():
        (copy / one.name).write_bytes(one.read_bytes())
    connection.close()
    before = contents(copy)
    assert len(before["x.db-wal"]) > 0
    with pytest.raises(TuringTestError, match="another program"):
        open_database(str(copy / "x.db"))
    after = contents(copy)
    assert {name: after[name] for name in ("x.db", "x.db-wal")} == {name: before[name] for name in ("x.db", "x.db-wal")}


def test_an_empty_database_is_filled_by_who_makes_a_study_and_refused_by_who_reads(tmp_path) -> None:
    path = tmp_path / "empty.db"
    path.write_bytes(b"")
    with pytest.raises(TuringTestError, match="holds no study"):
        open_database(str(path), must_exist=True)
    assert contents(tmp_path) == {"empty.db": b""}
    open_database(str(path)).dispose()
    open_database(str(path), must_exist=True).dispose()


def test_a_postgresql_database_of_another_program_is_left_alone(request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue("postgres")
    engine = create_engine(database_url(address))
    with engine.begin() as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    with pytest.raises(TuringTestError, match="holds no study"):
        open_database(address, must_exist=True)
    with engine.begin() as connection:
        connection.execute(text("create table bookmarks (x integer)"))
    for must_exist in (True, False):
        with pytest.raises(TuringTestError, match="another program"):
            open_database(address, must_exist=must_exist)
    assert inspect(engine).get_table_names() == ["bookmarks"]
    with engine.begin() as connection:
        connection.execute(text("drop table bookmarks"))
    engine.dispose()


def test_our_tables_beside_others_are_ours() -> None:
    ours = ["schema_version", "study", "condition", "picture", "judge", "trial"]
    check_ours([*ours, "bookmarks"], "db", must_hold=True)
    with pytest.raises(TuringTestError, match="not judge"):
        check_ours([name for name in ours if name != "judge"], "db", must_hold=False)


def answers_in(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("select count(*) from trial where answered_at is not null").fetchone()[0])
    finally:
        connection.close()


def test_a_copy_of_the_file_and_a_backup_hold_what_was_confirmed_while_the_server_runs(tmp_path, folders) -> None:
    engine, study = started(str(tmp_path / "s.db"), folders, trials=40, practice=0)
    with Writer(engine) as writer:
        token = writer.submit(lambda c: begin(c, study, None)).result()
        for k in range(20):
            answer = Answer(k, "generated", 500.0, None)
            writer.submit(lambda c, answer=answer: judging.answer(c, study, token, answer)).result()
        shutil.copy(tmp_path / "s.db", tmp_path / "copied.db")
        assert answers_in(tmp_path / "copied.db") == 20
        assert back_up(str(tmp_path / "s.db"), tmp_path / "backup.db") == 20
    engine.dispose()
    assert answers_in(tmp_path / "backup.db") == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.db", "copied.db", "s.db"]


def test_a_backup_amid_answers_holds_all_that_were_confirmed_before_it_began(tmp_path, folders) -> None:
    engine, study = started(str(tmp_path / "s.db"), folders, trials=400, practice=0)
    confirmed, stop = [0], threading.Event()
    with Writer(engine) as writer:
        token = writer.submit(lambda c: begin(c, study, None)).result()

        def answer_on() -> None:
            for k in range(400):
                if stop.is_set():
                    return
                answer = Answer(k, "generated", 500.0, None)
                writer.submit(lambda c, answer=answer: judging.answer(c, study, token, answer)).result()
                confirmed[0] = k + 1

        judge = threading.Thread(target=answer_on)
        judge.start()
        try:
            for number in range(5):
                before = confirmed[0]
                assert before <= back_up(str(tmp_path / "s.db"), tmp_path / f"{number}.db") <= confirmed[0] + 1
        finally:
            stop.set()
            judge.join()
    engine.dispose()


def test_what_cannot_be_backed_up_is_one_line_and_leaves_nothing(tmp_path, folders) -> None:
    started(str(tmp_path / "s.db"), folders)[0].dispose()
    with pytest.raises(TuringTestError, match="pg_dump"):
        back_up("postgresql://h/d", tmp_path / "x.db")
    with pytest.raises(TuringTestError, match="there is no database"):
        back_up(str(tmp_path / "none.db"), tmp_path / "x.db")
    with pytest.raises(TuringTestError, match="exists already"):
        back_up(str(tmp_path / "s.db"), tmp_path / "s.db")
    with pytest.raises(TuringTestError, match="cannot be copied"):
        back_up(str(tmp_path / "s.db"), tmp_path / "s.db" / "x.db")
    assert [path.name for path in tmp_path.iterdir()] == ["s.db"]

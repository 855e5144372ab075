from pathlib import Path

import pytest
from sqlalchemy import text

from improved_gan.turing_test.database import database_url, open_database, writing
from improved_gan.turing_test.errors import TuringTestError


def test_addresses() -> None:
    assert database_url("sqlite:///a.db") == "sqlite:///a.db"
    assert database_url("postgres://h/d") == "postgresql+psycopg://h/d"
    with pytest.raises(TuringTestError, match="not mysql"):
        database_url("mysql://h/d")


def test_opening_twice_changes_nothing_and_both_kinds_work(database: str) -> None:
    open_database(database).dispose()
    engine = open_database(database)
    with writing(engine) as connection:
        assert connection.execute(text("select version_num from alembic_version")).scalar() == "0001"
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


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    engine = open_database(str(tmp_path / "x.db"))
    with writing(engine) as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    with pytest.raises(TuringTestError, match="update improved-gan"):
        open_database(str(tmp_path / "x.db"))

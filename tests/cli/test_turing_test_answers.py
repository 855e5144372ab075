import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from improved_gan.cli import app
from improved_gan.turing_test.errors import TuringTestError

RUNNER = CliRunner()


@pytest.fixture
def db(tmp_path: Path, real_and_gan: Path) -> Path:
    run(0, "create", "--real", tmp_path / "real", "--generated", tmp_path / "gan", "--db", tmp_path / "s.db")
    return tmp_path / "s.db"


def run(code: int, *words: object) -> str:
    """What is printed, or the error that `main` turns into one line and exit code 2."""
    found = RUNNER.invoke(app, ["turing-test", *map(str, words)])
    if code == 2:
        assert isinstance(found.exception, TuringTestError), found.output
        return str(found.exception)
    assert found.exit_code == code, found.output
    return found.output


def test_a_backup_is_reported_like_the_database(db: Path) -> None:
    copy = db.with_name("copy.db")
    assert f"{copy}: 0 answers" in run(0, "backup", "--db", db, "--out", copy)
    assert run(0, "report", "--db", copy) == run(0, "report", "--db", db)


def test_a_damaged_database_and_another_programs_are_one_line_and_code_2(db: Path) -> None:
    broken, other = db.with_name("broken.db"), db.with_name("other.db")
    shutil.copy(db, broken)
    with broken.open("rb+") as file:
        file.seek(4096)
        file.write(b"\xff" * 60_000)
    connection = sqlite3.connect(other)
    connection.execute("create table bookmarks (x)")
    connection.close()
    before = other.read_bytes()
    exporting, copying = ("export", "--out", db.parent / "out"), ("backup", "--out", db.parent / "b.db")
    for path in (broken, other):
        for words in (("report",), ("serve",), ("token",), exporting, copying):
            assert "\n" not in run(2, *words, "--db", path)
    assert other.read_bytes() == before
    assert not (db.parent / "b.db").exists()

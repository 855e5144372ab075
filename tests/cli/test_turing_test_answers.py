import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from improved_gan.cli import app
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.preferences import read_preferences
from improved_gan.turing_test.votes import read_votes

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
    copy = db.parent / "new" / "copy.db"
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


ARENA = """conversation,user,model_a,model_b,winner
1,ann,x,y,model_a
2,ann,y,x,tie (bothbad)
3,bob,x,z,model_b
4,bob,y,z,z
5,eve,z,x,tie
"""
ARENA_COLUMNS = [word for pair in ("judge=user", "left=model_a", "right=model_b", "outcome=winner")
                 for word in ("--column", pair)]  # fmt: skip
ARENA_VALUES = [word for pair in ("model_a=left", "model_b=right", "tie (bothbad)=both_bad")
                for word in ("--value", f"outcome.{pair}")]  # fmt: skip


def test_a_table_of_another_tool_is_imported_by_its_columns_and_words(tmp_path: Path) -> None:
    """The winner in words of that tool, or by the model's name."""
    (tmp_path / "arena.csv").write_text(ARENA)
    words = ["import", tmp_path / "arena.csv", *ARENA_COLUMNS, *ARENA_VALUES]
    said = run(0, *words, "--out", tmp_path / "new" / "ours.csv")
    assert "5 answers of 3 judges about x, y, z" in said
    table = read_preferences(tmp_path / "new" / "ours.csv")
    assert table.judge.tolist() == [0, 0, 1, 1, 2]
    assert table.outcome.tolist() == ["left", "both_bad", "right", "right", "tie"]
    assert table.left.tolist() == ["x", "y", "x", "y", "z"]
    report = ("report", "--min-median-ms", 0, "--preferences")
    own = run(0, *report, tmp_path / "new" / "ours.csv")
    words, out = [tmp_path / "arena.csv", *ARENA_COLUMNS, *ARENA_VALUES], tmp_path / "newer" / "r.json"
    assert run(0, *report, *words, "--out", out) == f"{own}written: {out}\n"
    assert {one["model"] for one in json.loads(out.read_text())[0]["models"]} == {"x", "y", "z"}


def test_votes_of_another_tool_are_imported(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text("who,truth,said\nann,fake,fake\nann,photo,fake\nbob,fake,photo\n")
    words = [word for pair in ("judge=who", "signal=truth", "response=said") for word in ("--column", pair)]
    values = [word for name in ("signal", "response") for pair in ("fake=1", "photo=0")
              for word in ("--value", f"{name}.{pair}")]  # fmt: skip
    said = run(0, "import", tmp_path / "votes.csv", *words, *values, "--out", tmp_path / "ours.csv")
    assert "report --votes" in said
    assert read_votes(tmp_path / "ours.csv").correct.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["t.csv"], "give --out FILE"),
        (["t.csv", "--out", "o.csv", *ARENA_COLUMNS], "column 'outcome' must hold left, right"),
        (["t.csv", "--out", "o.csv", *ARENA_COLUMNS, "--value", "outcome.A=left"], "no cell of column 'outcome'"),
        (["t.csv", "--out", "o.csv", "--column", "judge=nobody"], "has no column 'nobody'"),
        (["t.json", "--value", "a.b=c"], "are for a CSV table"),
    ],
)
def test_what_cannot_be_imported_is_told(words: list[str], message: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(ARENA)
    assert message in run(2, "import", *words)
    assert not Path("o.csv").exists()

"""Any byte of a study's database may be wrong: report, serve, export and backup end in one line, or do their work."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from improved_gan.turing_test import judging
from improved_gan.turing_test.app import create_app
from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.database import back_up, open_database, reading, writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.judging import Answer
from improved_gan.turing_test.records import export_study, read_study_votes
from improved_gan.turing_test.report import make_report
from improved_gan.turing_test.report_formats import report_text
from improved_gan.turing_test.studies import find_study, list_studies
from tests.turing_test.started import started

MUTATIONS = int(os.environ.get("IMPROVED_GAN_MUTATIONS", "40"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, folders) -> Path:
    path = tmp_path_factory.mktemp("whole") / "s.db"
    engine, study = started(str(path), folders, trials=6, practice=0)
    with writing(engine) as connection:
        for number in range(3):
            token = begin(connection, study, f"P{number}")
            for k in range(7):
                judging.answer(connection, study, token, Answer(k, "real" if k % 2 else "generated", 500.0, None))
    engine.dispose()
    return path


def report(path: Path) -> None:
    engine = open_database(str(path), must_exist=True)
    try:
        with reading(engine) as connection:
            votes = read_study_votes(connection, find_study(connection))
        report_text(make_report(votes))
    finally:
        engine.dispose()


def export(path: Path) -> None:
    engine = open_database(str(path), must_exist=True)
    try:
        with reading(engine) as connection:
            export_study(connection, find_study(connection), pictures=True, participants=True)
    finally:
        engine.dispose()


def serve(path: Path) -> None:
    engine = open_database(str(path), must_exist=True)
    app = None
    try:
        with reading(engine) as connection:
            for one in list_studies(connection):
                find_study(connection, one["slug"])
        app = create_app(engine)
        client = TestClient(app)
        for page in ("/", f"/s/{one['slug']}", f"/s/{one['slug']}/results"):
            assert client.get(page).status_code in (200, 404, 410, 503)
    finally:
        app.state.site.close() if app is not None else engine.dispose()


def copy(path: Path) -> None:
    back_up(str(path), path.with_name("copy.db"))


def mutate(whole: bytes, draw: random.Random) -> bytes:
    kind, data = draw.randrange(4), bytearray(whole)
    at = draw.randrange(len(data))
    if kind == 0:
        data[at] = draw.randrange(256)
    elif kind == 1:  # where the structure is: the first page, or the first bytes of another
        page = draw.randrange(len(data) // 4096) * 4096
        data[(at % 4096) if at % 2 else page + at % 64] = draw.randrange(256)
    elif kind == 2:
        data[at : at + draw.randrange(1, 400)] = draw.randbytes(draw.randrange(1, 400))
    else:
        del data[at:]
    return bytes(data)


def one_line(work: Callable[[Path], None], path: Path) -> str:
    """What was said of the file; nothing if the work was done."""
    try:
        work(path)
    except TuringTestError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("work", [report, serve, export, copy])
def test_a_damaged_file_is_one_line(tmp_path: Path, whole: Path, work: Callable[[Path], None]) -> None:
    draw, told, path = random.Random(work.__name__), 0, tmp_path / "s.db"
    for _ in range(MUTATIONS // 4):
        for one in tmp_path.iterdir():
            one.unlink()
        path.write_bytes(mutate(whole.read_bytes(), draw))
        said = one_line(work, path)
        assert "\n" not in said
        told += bool(said)
    assert told > MUTATIONS // 40


VALUES = ["x", 2**62, b"\xff\x00", None, "\ud800", "[]"]
COLUMNS = {
    "study": ["slug", "settings", "secret", "researcher_hash", "seed", "is_closed", "num_judges", "width"],
    "condition": ["name", "study_id"],
    "picture": ["number", "file", "condition_id", "png", "num_planned"],
    "judge": ["number", "arm", "position", "staircase", "started_at", "finished_at", "participant", "completion_code"],
    "trial": ["number", "kind", "model", "first_id", "second_id", "signal", "response", "rating", "response_ms",
              "exposure_ms", "shown_ms", "answered_at"],
}  # fmt: skip


@pytest.mark.parametrize("table", COLUMNS)
def test_a_value_of_another_kind_in_any_column_is_one_line(tmp_path: Path, whole: Path, table: str) -> None:
    """SQLite holds any value in any column; a change of the file's bytes can put it there."""
    draw, path = random.Random(table), tmp_path / "s.db"
    for column in COLUMNS[table]:
        for value in VALUES:
            for one in tmp_path.iterdir():
                one.unlink()
            shutil.copy(whole, path)
            connection = sqlite3.connect(path)
            given = value.encode(errors="surrogatepass") if isinstance(value, str) else value
            how = "cast(? as text)" if isinstance(value, str) else "?"
            try:
                connection.execute(f"update {table} set {column} = {how} where id = 1", (given,))
                connection.commit()
            except sqlite3.IntegrityError:
                continue
            finally:
                connection.close()
            said = one_line(draw.choice([report, serve, export]), path)
            assert "\n" not in said, (table, column, value)

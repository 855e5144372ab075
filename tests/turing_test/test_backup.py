import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from improved_gan.turing_test import judging
from improved_gan.turing_test.backup import back_up
from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.judging import Answer
from improved_gan.turing_test.writer import Writer
from tests.turing_test.started import started


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
    with pytest.raises(TuringTestError, match="is there already"):
        back_up(str(tmp_path / "s.db"), tmp_path / "s.db")
    with pytest.raises(TuringTestError, match="cannot be copied"):
        back_up(str(tmp_path / "s.db"), tmp_path / "no" / "x.db")
    assert [path.name for path in tmp_path.iterdir()] == ["s.db"]

import threading

import pytest
from sqlalchemy import text

from improved_gan.turing_test.database import open_database
from improved_gan.turing_test.writer import Writer


def test_many_jobs_are_all_done_and_one_that_fails_undoes_only_itself(database: str) -> None:
    engine = open_database(database)
    with engine.begin() as connection:
        connection.execute(text("create table t (n integer primary key)"))

    def job(number: int):
        return lambda connection: connection.execute(text("insert into t values (:n)"), {"n": number}).rowcount

    hold = threading.Event()
    with Writer(engine) as writer:
        writer.submit(lambda _: hold.wait(10))  # so that the others wait together
        futures = [writer.submit(job(number)) for number in (*range(50), 7)]
        hold.set()
        assert [future.result(10) for future in futures[:50]] == [1] * 50
        with pytest.raises(Exception, match=r"(?i)unique"):
            futures[50].result(10)
        last = writer.submit(job(99))
    assert last.result(0) == 1
    with engine.begin() as connection:
        assert connection.execute(text("select count(*) from t")).scalar() == 51
        connection.execute(text("drop table t"))
    engine.dispose()


def test_a_write_that_nobody_waits_for_any_more_neither_stops_nor_repeats_others(tmp_path) -> None:
    """Cancelled while it waits: not run. Cancelled while it runs: too late; nothing runs twice, later writes work."""
    engine, ran = open_database(str(tmp_path / "x.db")), []
    started, hold = threading.Event(), threading.Event()

    def first(_: object) -> None:
        ran.append("first")
        started.set()
        hold.wait(10)

    with Writer(engine) as writer:
        running = writer.submit(first)
        assert started.wait(10)
        waiting = [writer.submit(lambda _, name=name: ran.append(name)) for name in ("second", "third")]
        assert not running.cancel()
        assert waiting[0].cancel()
        hold.set()
        running.result(10)
        waiting[1].result(10)
        assert writer.submit(lambda _: "later").result(10) == "later"
    assert ran == ["first", "third"]
    engine.dispose()


def test_the_thread_survives_whatever_a_job_raises(tmp_path) -> None:
    engine = open_database(str(tmp_path / "x.db"))

    def leave(_: object) -> None:
        raise SystemExit(3)

    with Writer(engine) as writer:
        with pytest.raises(SystemExit):
            writer.submit(leave).result(10)
        assert writer.submit(lambda _: "later").result(10) == "later"
    engine.dispose()

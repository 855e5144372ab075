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

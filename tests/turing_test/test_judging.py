from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from improved_gan.turing_test import judging
from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.database import writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.judging import MAX_MS, read_answer
from improved_gan.turing_test.tables import Study, Trial
from tests.turing_test.started import started


@pytest.mark.parametrize("design", ["yes_no", "two_alternative", "timed", "rating"])
def test_a_whole_session_is_stored_once_whatever_is_sent_again(database: str, folders, design: str) -> None:
    engine, study = started(database, folders, design=design)
    choices = {"two_alternative": ("left", "right"), "rating": (2, 5)}.get(design, ("real", "generated"))
    with writing(engine) as connection:
        token = begin(connection, study, None)
    for number in range(study.settings.length):
        given = read_answer(study, {"number": number, "choice": choices[number % 2], "response_ms": 500})
        other = read_answer(study, {"number": number, "choice": choices[1 - number % 2], "response_ms": 1})
        with writing(engine) as connection:
            told = judging.answer(connection, study, token, given)
            again = judging.answer(connection, study, token, other)
        assert told["position"] == again["position"] == number + 1
        # What is told again is of the answer that is stored, not of what was sent now.
        assert again.get("feedback") == told.get("feedback")
    assert told["code"]
    with engine.connect() as connection:
        rows = connection.execute(select(Trial).order_by(Trial.number)).mappings().all()
    assert [row["response_ms"] for row in rows] == [500] * study.settings.length
    assert [bool(row["exposure_ms"]) for row in rows] == [design == "timed"] * study.settings.length
    engine.dispose()


def test_one_answer_from_many_connections_at_once(database: str, folders) -> None:
    engine, study = started(database, folders)
    with writing(engine) as connection:
        token = begin(connection, study, None)

    def send(choice: str):
        given = read_answer(study, {"number": 0, "choice": choice, "response_ms": 9})
        with writing(engine) as connection:
            return judging.answer(connection, study, token, given)["position"]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, ["real", "generated"] * 8)) == {1}
    with engine.connect() as connection:
        assert connection.scalar(select(func.count(Trial.id)).where(Trial.answered_at.is_not(None))) == 1
    engine.dispose()


def test_pictures_are_this_judges_own_and_only_now_and_next(database: str, folders) -> None:
    engine, study = started(database, folders)
    with writing(engine) as connection:
        tokens = [begin(connection, study, None) for _ in range(2)]
        told = [judging.state(connection, study, judging.find_judge(connection, study, token)) for token in tokens]
        shown = [judging.pictures_of(connection, study, token) for token in tokens]
        for state, (now, ids) in zip(told, shown, strict=True):
            assert now == [*state["pictures"], *state["next"]]
            assert set(now) < set(ids)  # more are known than may be seen
        assert not set(shown[0][1]) & set(shown[1][1])
        reply = judging.answer(
            connection, study, tokens[0], read_answer(study, {"number": 0, "choice": "real", "response_ms": 9})
        )
        now, ids = judging.pictures_of(connection, study, tokens[0])
        assert now == [*reply["pictures"], *reply["next"]]
        assert ids == {token: shown[0][1][token] for token in ids}
        connection.execute(update(Study).values(is_closed=True))
        assert judging.pictures_of(connection, study, tokens[0]) == ([], {})
        assert judging.pictures_of(connection, study, "unknown") == ([], {})
    engine.dispose()


@pytest.mark.parametrize(
    "given",
    [{}, {"number": -1, "choice": "real", "response_ms": 1}, {"number": True, "choice": "real", "response_ms": 1},
     {"number": 0, "choice": "left", "response_ms": 1}, {"number": 0, "choice": "real", "response_ms": float("nan")},
     {"number": 0, "choice": "real", "response_ms": -1}, {"number": 0, "choice": ["real"], "response_ms": 1},
     {"number": 99, "choice": "real", "response_ms": 1},
     {"number": 0, "choice": "real", "response_ms": float("inf")},
     {"number": 0, "choice": "real", "response_ms": 1, "shown_ms": {}},
     {"number": 0, "choice": "real", "response_ms": 1, "shown_ms": ""},
     {"number": 0, "choice": "real", "response_ms": "1"}],
)  # fmt: skip
def test_answers_that_are_none(tmp_path, folders, given) -> None:
    engine, study = started(str(tmp_path / "x.db"), folders)
    with pytest.raises(TuringTestError):
        read_answer(study, given)
    engine.dispose()


@pytest.mark.parametrize("given", [3_600_001, 1e300, 10**400])
def test_an_answer_after_more_than_an_hour_counts_as_an_hour(tmp_path, folders, given) -> None:
    engine, study = started(str(tmp_path / "x.db"), folders)
    read = read_answer(study, {"number": 0, "choice": "real", "response_ms": given, "shown_ms": given})
    assert read.response_ms == read.shown_ms == MAX_MS == 3_600_000
    engine.dispose()

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from improved_gan.turing_test import judging
from improved_gan.turing_test.database import open_database, writing
from improved_gan.turing_test.errors import StudyClosedError, TuringTestError
from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.studies import create_study
from improved_gan.turing_test.tables import Judge, Picture, Trial


def started(database: str, folders, **words):
    engine = open_database(database)
    settings = StudySettings(**{"trials": 8, "practice": 2, "checks": 1, **words})
    return engine, create_study(engine, folders, settings)[0]


@pytest.mark.parametrize("design", ["yes_no", "two_alternative", "timed", "rating"])
def test_a_whole_session_is_stored_once_whatever_is_sent_again(database: str, folders, design: str) -> None:
    engine, study = started(database, folders, design=design)
    choices = {"two_alternative": ("left", "right"), "rating": (2, 5)}.get(design, ("real", "generated"))
    with writing(engine) as connection:
        token = judging.begin(connection, study, None)
    for number in range(study.settings.length):
        given = judging.read_answer(study, {"number": number, "choice": choices[number % 2], "response_ms": 500})
        other = judging.read_answer(study, {"number": number, "choice": choices[1 - number % 2], "response_ms": 1})
        with writing(engine) as connection:
            told = judging.answer(connection, study, token, given)
            again = judging.answer(connection, study, token, other)
        assert told["position"] == again["position"] == number + 1
        assert "feedback" not in again
    assert told["code"]
    with engine.connect() as connection:
        rows = connection.execute(select(Trial).order_by(Trial.number)).mappings().all()
    assert [row["response_ms"] for row in rows] == [500] * study.settings.length
    assert [bool(row["exposure_ms"]) for row in rows] == [design == "timed"] * study.settings.length
    engine.dispose()


def test_one_answer_from_many_connections_at_once(database: str, folders) -> None:
    engine, study = started(database, folders)
    with writing(engine) as connection:
        token = judging.begin(connection, study, None)

    def send(choice: str):
        given = judging.read_answer(study, {"number": 0, "choice": choice, "response_ms": 9})
        with writing(engine) as connection:
            return judging.answer(connection, study, token, given)["position"]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, ["real", "generated"] * 8)) == {1}
    with engine.connect() as connection:
        assert connection.scalar(select(func.count(Trial.id)).where(Trial.answered_at.is_not(None))) == 1
    engine.dispose()


def test_many_begin_at_once_and_get_their_own_numbers_and_balanced_pictures(database: str, folders) -> None:
    engine, study = started(database, folders)

    def go(_: int) -> str:
        with writing(engine) as connection:
            return judging.begin(connection, study, None)

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(go, range(12)))) == 12
    with engine.connect() as connection:
        assert sorted(connection.scalars(select(Judge.number))) == list(range(12))
        arms = list(connection.scalars(select(Judge.arm)))
        assert arms.count("feedback") == 6
        planned = connection.execute(
            select(Picture.condition_id, func.max(Picture.num_planned) - func.min(Picture.num_planned)).group_by(
                Picture.condition_id)).all()  # fmt: skip
        assert all(spread <= 1 for _, spread in planned)
    engine.dispose()


def test_a_participant_comes_back_to_the_same_session(database: str, folders) -> None:
    engine, study = started(database, folders, max_judges=2)
    with writing(engine) as connection:
        tokens = [judging.begin(connection, study, "P1"), judging.begin(connection, study, "P1")]
        found = [judging.find_judge(connection, study, token) for token in tokens]
        assert found[0] is None
        assert found[1] is not None
        judging.begin(connection, study, "P2")
    with pytest.raises(StudyClosedError, match="all the judges"), writing(engine) as connection:
        judging.begin(connection, study, "P3")
    with writing(engine) as connection:
        judging.begin(connection, study, "P1")
    engine.dispose()


def test_pictures_are_this_judges_own_and_only_now_and_next(database: str, folders) -> None:
    engine, study = started(database, folders)
    with writing(engine) as connection:
        judges = [judging.find_judge(connection, study, judging.begin(connection, study, None)) for _ in range(2)]
        told = [judging.state(connection, study, judge) for judge in judges]
        assert judging.picture_of_token(connection, study, judges[0], told[0]["pictures"][0])
        assert judging.picture_of_token(connection, study, judges[0], told[0]["next"][0])
        assert judging.picture_of_token(connection, study, judges[0], told[1]["pictures"][0]) is None
        assert (
            judging.picture_of_token(connection, study, judges[0], judging._tokens(study, judges[0].id, 2)[0]) is None
        )
    engine.dispose()


@pytest.mark.parametrize(
    "given",
    [{}, {"number": -1, "choice": "real", "response_ms": 1}, {"number": True, "choice": "real", "response_ms": 1},
     {"number": 0, "choice": "left", "response_ms": 1}, {"number": 0, "choice": "real", "response_ms": float("nan")},
     {"number": 0, "choice": "real", "response_ms": -1}, {"number": 0, "choice": ["real"], "response_ms": 1},
     {"number": 99, "choice": "real", "response_ms": 1}, {"number": 0, "choice": "real", "response_ms": "1"}],
)  # fmt: skip
def test_answers_that_are_none(tmp_path, folders, given) -> None:
    engine, study = started(str(tmp_path / "x.db"), folders)
    with pytest.raises(TuringTestError):
        judging.read_answer(study, given)
    engine.dispose()

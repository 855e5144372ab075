from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from improved_gan.turing_test import judging
from improved_gan.turing_test.beginning import HELD_MINUTES, begin, places_taken
from improved_gan.turing_test.database import writing
from improved_gan.turing_test.errors import StudyClosedError
from improved_gan.turing_test.judging import Answer
from improved_gan.turing_test.tables import Judge, Picture, Trial
from tests.turing_test.started import started


def test_many_begin_at_once_and_get_their_own_numbers_and_balanced_pictures(database: str, folders) -> None:
    engine, study = started(database, folders)

    def go(_: int) -> str:
        with writing(engine) as connection:
            return begin(connection, study, None)

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
        tokens = [begin(connection, study, "P1"), begin(connection, study, "P1")]
        found = [judging.find_judge(connection, study, token) for token in tokens]
        assert found[0] is None
        assert found[1] is not None
        begin(connection, study, "P2")
    with pytest.raises(StudyClosedError, match="all the judges"), writing(engine) as connection:
        begin(connection, study, "P3")
    with writing(engine) as connection:
        begin(connection, study, "P1")
    engine.dispose()


def test_one_browser_has_one_unfinished_session_and_after_it_another(database: str, folders) -> None:
    engine, study = started(database, folders, max_judges=3)

    def go(_: int) -> str:
        with writing(engine) as connection:
            return begin(connection, study, None, "v" * 32)

    with ThreadPoolExecutor(6) as pool:
        (token,) = set(pool.map(go, range(12)))
    with writing(engine) as connection:
        assert begin(connection, study, None, "w" * 32) != token
        assert places_taken(connection, study) == 2
        connection.execute(update(Judge).where(Judge.number == 0).values(finished_at=datetime.now(UTC), position=11))
        assert begin(connection, study, None, "v" * 32) != token
        assert sorted(connection.scalars(select(Judge.number))) == [0, 1, 2]
    engine.dispose()


def test_two_participants_at_one_browser_have_their_own_sessions(database: str, folders) -> None:
    engine, study = started(database, folders)
    with writing(engine) as connection:
        first = begin(connection, study, "P1", "v" * 32)
        assert begin(connection, study, "P2", "v" * 32) != first
        elsewhere = begin(connection, study, "P1", "w" * 32)
        assert judging.find_judge(connection, study, first) is None
        assert judging.find_judge(connection, study, elsewhere).number == 0
        assert begin(connection, study, "P1", "v" * 32) == first
        assert judging.find_judge(connection, study, first).number == 0
        assert connection.scalar(select(func.count(Judge.id))) == 2
    engine.dispose()


def test_places_without_an_answer_become_free_and_those_with_one_do_not(database: str, folders) -> None:
    engine, study = started(database, folders, max_judges=2)
    long_ago = datetime.now(UTC) - timedelta(minutes=HELD_MINUTES + 1)
    with writing(engine) as connection:
        tokens = [begin(connection, study, None, name * 32) for name in "ab"]
    with pytest.raises(StudyClosedError, match="all the judges"), writing(engine) as connection:
        begin(connection, study, None, "c" * 32)
    with writing(engine) as connection:
        judging.answer(connection, study, tokens[0], Answer(0, "generated", 500.0, None))
        connection.execute(update(Judge).values(started_at=long_ago))
        assert places_taken(connection, study) == 1
        begin(connection, study, None, "c" * 32)
    with pytest.raises(StudyClosedError, match="all the judges"), writing(engine) as connection:
        begin(connection, study, None, "d" * 32)
    with writing(engine) as connection:  # who comes back late still has the session
        assert begin(connection, study, None, "b" * 32) == tokens[1]
        judging.answer(connection, study, tokens[1], Answer(0, "generated", 500.0, None))
    engine.dispose()


def test_two_studies_with_equal_settings_and_seed_have_different_trials(tmp_path, folders) -> None:
    plans = []
    for name in ("one.db", "two.db"):
        engine, study = started(str(tmp_path / name), folders, trials=40)
        with writing(engine) as connection:
            begin(connection, study, None)
            plans.append(list(connection.scalars(select(Trial.signal).order_by(Trial.number))))
        engine.dispose()
    assert plans[0] != plans[1]

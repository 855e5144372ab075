from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from improved_gan.turing_test import judging
from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.database import writing
from improved_gan.turing_test.errors import StudyClosedError
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


def test_two_studies_with_equal_settings_and_seed_have_different_trials(tmp_path, folders) -> None:
    plans = []
    for name in ("one.db", "two.db"):
        engine, study = started(str(tmp_path / name), folders, trials=40)
        with writing(engine) as connection:
            begin(connection, study, None)
            plans.append(list(connection.scalars(select(Trial.signal).order_by(Trial.number))))
        engine.dispose()
    assert plans[0] != plans[1]

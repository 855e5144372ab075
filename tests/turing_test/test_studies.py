import pytest

from improved_gan.turing_test.database import open_database, writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.studies import create_study, find_study, list_studies, new_researcher_token, set_closed
from improved_gan.turing_test.tokens import hash_token


def test_the_same_again_is_the_same_study_and_other_settings_another(database: str, folders) -> None:
    engine = open_database(database)
    first, token, _ = create_study(engine, folders, StudySettings())
    again, none, _ = create_study(engine, folders, StudySettings())
    assert (again, none) == (first, None)
    assert first.models == ("a", "b")
    assert first.researcher_hash == hash_token(token or "")
    with engine.connect() as connection:
        assert find_study(connection) == first
    other, _, _ = create_study(engine, folders, StudySettings(trials=9))
    assert other.slug != first.slug
    with engine.connect() as connection:
        with pytest.raises(TuringTestError, match="holds 2 studies: choose one, --study"):
            find_study(connection)
        with pytest.raises(TuringTestError, match="no study called x"):
            find_study(connection, "x")
    with writing(engine) as connection:
        set_closed(connection, other.id, closed=True)
        assert [one["is_closed"] for one in list_studies(connection)] == [False, True]
    fresh = new_researcher_token(engine, first)
    with engine.connect() as connection:
        assert find_study(connection, first.slug).researcher_hash == hash_token(fresh)
    engine.dispose()

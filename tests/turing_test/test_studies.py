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


@pytest.mark.parametrize(
    ("settings", "short"),
    [
        (StudySettings(trials=38, practice=4), []),  # 21 of 30 real pictures in the mean, 29 at most
        (StudySettings(trials=50, practice=4), ["35 pictures of real"]),
        (StudySettings(trials=50, practice=4, kinds="fixed"), []),  # 27 of 30 real pictures, 14 of each generator
        (StudySettings(trials=60, practice=4, kinds="fixed"), ["32 pictures of real"]),
        (
            StudySettings(trials=100, practice=4, prevalence=0.8, kinds="fixed"),
            ["42 pictures of a", "42 pictures of b"],
        ),
        (
            StudySettings(trials=100, practice=4, prevalence=0.8),
            ["31 pictures of real", "46 pictures of a", "46 pictures of b"],
        ),
        (StudySettings(design="two_alternative", trials=27, practice=2, checks=2), ["31 pictures of real"]),
    ],
)
def test_a_session_that_needs_more_pictures_than_there_are_is_told(tmp_path, folders, settings, short) -> None:
    engine = open_database(str(tmp_path / "s.db"))
    warnings = create_study(engine, folders, settings)[2].warnings
    assert len(warnings) == len(short)
    for words, warning in zip(short, warnings, strict=True):
        assert f"a judge may be shown {words}, but there are 30" in warning
    engine.dispose()

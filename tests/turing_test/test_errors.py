from improved_gan.turing_test.errors import StudyClosedError, TuringTestError, needs_extra


def test_the_extra_is_named() -> None:
    assert "improved-gan[postgresql]" in str(needs_extra(ModuleNotFoundError(name="psycopg")))
    assert "improved-gan[web]" in str(needs_extra(ModuleNotFoundError(name="uvicorn")))
    assert issubclass(StudyClosedError, TuringTestError)

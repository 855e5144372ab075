import pytest

from improved_gan.turing_test.answers import MAX_MS, read_answer
from improved_gan.turing_test.errors import TuringTestError
from tests.turing_test.started import started


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

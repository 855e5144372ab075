import pytest

from improved_gan.turing_test.answers import read_answer
from improved_gan.turing_test.errors import TuringTestError
from tests.turing_test.started import started


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
        read_answer(study, given)
    engine.dispose()

import pytest

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.preferences import preferences_from_rows, preferences_to_csv, read_preferences

ROW = {"judge": 0, "left": "a", "right": "b", "outcome": "left"}


def test_written_and_read_back_with_texts_that_look_like_formulas(tmp_path) -> None:
    table = preferences_from_rows([ROW | {"prompt": "=cmd|' /C calc'!A0", "left": "-a"}, ROW | {"response_ms": 12.5}])
    (tmp_path / "p.csv").write_text(preferences_to_csv(table), encoding="utf-8")
    again = read_preferences(tmp_path / "p.csv")
    assert again.prompt.tolist() == ["=cmd|' /C calc'!A0", ""]
    assert again.left.tolist() == ["-a", "a"]
    assert again.response_ms[1] == 12.5


def test_another_tools_columns(tmp_path) -> None:
    (tmp_path / "p.csv").write_text("worker,model_a,model_b,winner\nx,a,b,tie\n", encoding="utf-8")
    columns = {"judge": "worker", "left": "model_a", "right": "model_b", "outcome": "winner"}
    assert read_preferences(tmp_path / "p.csv", columns).outcome.tolist() == ["tie"]


@pytest.mark.parametrize(
    ("row", "words"),
    [(ROW | {"outcome": "draw"}, "must hold left, right, tie, both_bad, not"), (ROW | {"right": "a"}, "with itself"),
     (ROW | {"response_ms": -1}, "milliseconds"), ({"judge": 0}, "lacks the column 'left'"),
     (ROW | {"trial": "x"}, "'trial'")],
)  # fmt: skip
def test_what_is_no_preference_is_told(row, words: str) -> None:
    with pytest.raises(TuringTestError, match=words):
        preferences_from_rows([row])


def test_a_check_is_passed_by_the_other_side() -> None:
    rows = [ROW | {"left": "check", "kind": "check", "outcome": one} for one in ("left", "right", "tie")]
    assert preferences_from_rows([*rows, ROW]).correct.tolist() == [False, True, False, True]

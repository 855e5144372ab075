import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.turing_test.csv_tables import judge_numbers, read_rows, safe_cell, stored_text, table_to_csv
from improved_gan.turing_test.errors import TuringTestError


@given(st.text(alphabet="=+-@'\tab1 ", max_size=6))
def test_no_text_is_a_formula_and_each_is_read_back(text: str) -> None:
    cell = safe_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t"))
    assert stored_text(cell) == text


def test_a_table_is_read_back_by_any_reader_of_csv() -> None:
    text = table_to_csv({"a": ['x"y,z', "two\nlines", "old\rMac"], "b": [True, None, 1]})
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows == [["a", "b"], ['x"y,z', "1"], ["two\nlines", ""], ["old\rMac", "1"]]
    assert text.startswith("a,b\n")


def test_columns_of_other_tools(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("﻿participant_id,judge\nann,x\nbob,y\n", encoding="utf-8")
    assert read_rows(path, {"judge": "participant_id"}, {"judge": ""}) == [{"judge": "ann"}, {"judge": "bob"}]
    for columns, words in (({"judge": "nobody"}, "has no column 'nobody'"), ({"jugde": "judge"}, "has the columns")):
        with pytest.raises(TuringTestError, match=words):
            read_rows(path, columns, {"judge": ""})
    path.write_text("a\n1,2\n", encoding="utf-8")
    with pytest.raises(TuringTestError, match="more cells"):
        read_rows(path, {}, {})


def test_values_are_exchanged_at_once(tmp_path) -> None:
    """One after the other, 1 for 0 and then 0 for 1 would make all cells 1."""
    path = tmp_path / "t.csv"
    path.write_text("real,response\n1,1\n0,1\n", encoding="utf-8")
    found = read_rows(path, {"signal": "real"}, {"signal": ""}, {"signal.1": "0", "signal.0": "1"})
    assert [(row["signal"], row["response"]) for row in found] == [("0", "1"), ("1", "1")]
    with pytest.raises(TuringTestError, match="no cell of column 'signal'"):
        read_rows(path, {"signal": "real"}, {"signal": ""}, {"signal.1": "0", "signal.2": "1"})


def test_judges_are_numbers_or_get_them() -> None:
    assert judge_numbers(["3", " 1"]) == [3, 1]
    assert judge_numbers(["3", "b", "3"]) == [0, 1, 0]
    assert judge_numbers(["007", "7", "007"]) == [0, 1, 0]

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.report import make_report
from improved_gan.turing_test.simulation import Population, simulate
from improved_gan.turing_test.votes import DATA_DICTIONARY, Votes, read_votes, votes_from_rows, votes_to_csv
from tests.mutations import mutations, read_all


def test_the_dictionary_describes_every_column_in_order() -> None:
    assert list(DATA_DICTIONARY) == [field.name for field in fields(Votes)]


def test_csv_brings_every_column_back(tmp_path: Path) -> None:
    votes = simulate(Population({"a": 0.6, "b, with a comma": 0.7}), judges=4, trials=7, seed=2)
    votes.exposure_ms[3], votes.partner[5] = 250, 12
    (tmp_path / "votes.csv").write_text(votes_to_csv(votes))
    again = read_votes(tmp_path / "votes.csv")
    for field in fields(Votes):
        np.testing.assert_array_equal(
            getattr(again, field.name), getattr(votes, field.name), err_msg=field.name
        ) if field.name != "response_ms" else np.testing.assert_allclose(
            again.response_ms, votes.response_ms, rtol=1e-9
        )


def test_two_alternative_votes_belong_to_one_model() -> None:
    votes = votes_from_rows(
        {"judge": 0, "design": "two_alternative", "model": name, "signal": 1, "response": right}
        for name, right in (("a", 1), ("a", 0), ("b", 1))
    )
    assert votes.models() == ["a", "b"]
    assert votes.of_model("a").correct.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("judge,signal\n1,1\n", "lacks the column 'response'"),
        ("judge,signal,response\n1,1,yes\n", "'response'.*must be 0 or 1, not 'yes'"),
        ("judge,signal,response\n,1,1\n", "a value is missing"),
        ("judge,signal,response,rating\n1,1,1,9\n", "'rating' must hold whole numbers of 1 to 6 or be empty, not 9"),
        ("judge,signal,response,rating\n1,1,1,2.5\n", "not 2.5"),
        ("judge,signal,response\n1000000000000000000000000000000,1,1\n", "column 'judge'.*too large"),
        ("judge,signal,response,design\n1,1,1,other\n", "must hold .* not \\['other'\\]"),
        ("judge,signal,response,kind\n1,1,1,Main\n", "'kind' must hold main, practice, check or be empty, not"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "votes.csv").write_text(text)
    with pytest.raises(TuringTestError, match=message):
        read_votes(tmp_path / "votes.csv")


def test_no_file_and_no_text(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("nothing", "binary"):
        with pytest.raises(TuringTestError, match="cannot be read as a table"):
            read_votes(tmp_path / name)


def test_of_100_damaged_tables_each_is_read_or_told_in_one_line(tmp_path: Path) -> None:
    votes = simulate(Population({"a": 0.6, "b": 0.7}), judges=3, trials=5, seed=1)

    def read(content: bytes) -> None:
        (tmp_path / "v.csv").write_bytes(content)
        make_report(read_votes(tmp_path / "v.csv"))

    assert read_all(mutations(votes_to_csv(votes).encode(), seed=0, num=100), read) > 50
    (tmp_path / "v.csv").write_text("judge,signal,response\n1,1,1,7\n")
    with pytest.raises(TuringTestError, match="row 1 has more cells than the first line has names"):
        read_votes(tmp_path / "v.csv")


@pytest.mark.parametrize("name", ["response_ms", "exposure_ms", "shown_ms"])
@pytest.mark.parametrize("value", ["inf", "-1"])
def test_times_are_finite(tmp_path: Path, name: str, value: str) -> None:
    (tmp_path / "v.csv").write_text(f"judge,signal,response,{name}\n1,1,1,{value}\n")
    with pytest.raises(TuringTestError, match=f"'{name}' must hold milliseconds"):
        read_votes(tmp_path / "v.csv")

import pytest
from starlette.requests import Request

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.participants import check_participant, participant_of


def of(query: str) -> str | None:
    return participant_of(Request({"type": "http", "query_string": query.encode(), "headers": []}))


def test_composed_and_decomposed_letters_are_one_person() -> None:
    assert of("participant=M%C3%BCller") == of("participant=Mu%CC%88ller") == of("participant=+M%C3%BCller+")


def test_no_number_two_numbers_and_the_same_number_twice() -> None:
    assert of("") is None
    assert of("utm_source=x") is None
    assert of("PROLIFIC_PID=5f&participant=5f") == "5f"
    with pytest.raises(TuringTestError, match="two different"):
        of("PROLIFIC_PID=5f&participant=6f")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("", "empty"),
        ("x" * 101, "101 characters, and at most 100"),
        ("a\x00", "printable"),
        ("{{%ID%}}", "not filled in"),
    ],
)
def test_what_cannot_be_kept_is_told(number: str, words: str) -> None:
    with pytest.raises(TuringTestError, match=words):
        check_participant(number)

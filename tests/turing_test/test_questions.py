import io

import numpy as np
import pytest
from PIL import Image

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.questions import Question, color_plate, plate_number, read_answers, read_questions

FILE = """
[[question]]
name = "age"
kind = "choice"
text = "How old are you?"
options = ["under 18", "18 or more"]
exclude = ["under 18"]
[[question]]
name = "skill"
kind = "scale"
text = "How often do you edit photographs?"
labels = ["never", "daily"]
highest = 5
[[question]]
name = "plate"
kind = "plate"
text = "Colors"
[[question]]
name = "window"
kind = "screen"
text = "Screen"
lowest = 600
[[question]]
name = "work"
kind = "text"
text = "Your work?"
optional = true
"""
GOOD = {"before-age": "18 or more", "before-skill": "5", "before-plate": "42", "screen": "1280x800"}


@pytest.fixture
def questions(tmp_path):
    (tmp_path / "q.toml").write_text(FILE, encoding="utf-8")
    return read_questions(tmp_path / "q.toml")


def test_answers_and_who_does_not_take_part(questions) -> None:
    def read(**more: str):
        return read_answers(questions, GOOD | {key.replace("_", "-"): one for key, one in more.items()},
                            plates={"plate": 42})  # fmt: skip

    assert read() == ({"age": "18 or more", "skill": 5, "plate": 42, "window": "1280x800"}, [])
    assert read(before_age="under 18")[1] == ["age"]
    assert read(before_plate="0")[1] == ["plate"]
    assert read(screen="599x800")[1] == ["window"]
    assert read(before_work="nurse")[0]["work"] == "nurse"


@pytest.mark.parametrize(
    ("field", "value"), [("age", "12"), ("skill", "6"), ("skill", ""), ("plate", "x"), ("age", "")]
)
def test_a_missing_or_wrong_answer_names_its_question(questions, field: str, value: str) -> None:
    with pytest.raises(TuringTestError, match="no answer to"):
        read_answers(questions, GOOD | {f"before-{field}": value}, plates={"plate": 42})


@pytest.mark.parametrize(
    ("text", "words"),
    [("x = 1", "question"), ("[[question]]\nname = 'a'", "name, kind, text"), ("[[question", "cannot be read"),
     ("[[question]]\nname='a'\nkind='b'\ntext='c'", "kind is one of"),
     ("[[question]]\nname='a b'\nkind='text'\ntext='c'", "letters, digits"),
     ("[[question]]\nname='a'\nkind='choice'\ntext='c'\noptions=['x']", "two options"),
     ("[[question]]\nname='a'\nkind='scale'\ntext='c'\nhighest=1", "2 to 21 steps"),
     ("[[question]]\nname='a'\nkind='text'\ntext='c'\nlongest='x'", "whole number"),
     ("[[question]]\nname='a'\nkind='choice'\ntext='c'\noptions=[1, 2]", "list of texts")],
)  # fmt: skip
def test_what_is_no_question_is_one_line(tmp_path, text: str, words: str) -> None:
    (tmp_path / "q.toml").write_text(text, encoding="utf-8")
    with pytest.raises(TuringTestError, match=words):
        read_questions(tmp_path / "q.toml")


def test_a_question_of_code() -> None:
    assert Question("a", "text", "b").longest == 500


def test_the_number_is_told_by_color_and_not_by_brightness() -> None:
    with Image.open(io.BytesIO(color_plate(57))) as image:
        pixels = np.asarray(image, dtype=float).reshape(-1, 3)
    dots = pixels[pixels.min(1) < 250]
    red = dots[:, 0] > dots[:, 1] * 1.2
    brightness = dots @ [0.299, 0.587, 0.114]
    assert 0.05 < red.mean() < 0.6
    assert abs(brightness[red].mean() - brightness[~red].mean()) < brightness.std()


def test_each_browser_has_its_number() -> None:
    numbers = {plate_number(b"secret", f"browser {k}", "plate") for k in range(50)}
    assert len(numbers) > 20
    assert min(numbers) >= 10
    assert max(numbers) <= 99


@pytest.mark.parametrize("more", [{"kind": "scale", "exclude": ("1",)}, {"kind": "text", "options": ("a", "b")},
                                  {"kind": "choice", "options": ("a", "b"), "labels": ("a", "b")}])  # fmt: skip
def test_what_a_kind_of_question_would_ignore_is_refused(more: dict) -> None:
    """A scale compares whole numbers: `exclude`, a list of texts, would never exclude anybody."""
    with pytest.raises(TuringTestError, match="not for the kind"):
        Question("age", text="How old?", **more)

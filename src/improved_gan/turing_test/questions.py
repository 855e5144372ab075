"""Questions before the first trial: screener and demographics, as a declarative list in a TOML file.

Each is a table `[[question]]` with `name`, `kind`, `text`, and by kind:
    text     free text                              `longest` (characters, 500)
    choice   one of `options`                       `exclude`: options after which a person does not take part
    scale    a whole number, `lowest` to `highest`  `labels`: words for the two ends
    plate    a two-digit number in colored dots, which people with red-green color blindness do not see
    screen   nothing is asked: the window must be `lowest` pixels wide or more
`optional = true` lets a question be left out.
"""

import hmac
import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from improved_gan.turing_test.errors import TuringTestError, short

__all__ = ["Question", "color_plate", "plate_number", "questions_from", "read_answers", "read_questions"]

KINDS = ("text", "choice", "scale", "plate", "screen")


@dataclass(frozen=True)
class Question:
    """One question; see the module's docstring.

    Raises:
        TuringTestError: a value that does not fit its kind.

    Example:
        >>> Question("age", "choice", "How old are you?", options=("18 to 39", "40 or more")).kind
        'choice'
    """

    name: str
    kind: str
    text: str
    options: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    lowest: int = 1
    highest: int = 7
    longest: int = 500
    optional: bool = False

    def __post_init__(self) -> None:
        for name in ("name", "kind", "text"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise TuringTestError(f"a question needs a {name}, a text")
        where = f"question {short(self.name, 40)}"
        if not self.name.isidentifier():
            raise TuringTestError(f"{where}: a name consists of letters, digits and _")
        if self.kind not in KINDS:
            raise TuringTestError(f"{where}: its kind is one of {', '.join(KINDS)}, not {short(self.kind, 40)}")
        for name in ("options", "exclude", "labels"):
            if not all(isinstance(one, str) and one for one in getattr(self, name)):
                raise TuringTestError(f"{where}: {name} must be a list of texts")
        for name in ("lowest", "highest", "longest"):
            if type(getattr(self, name)) is not int or not 0 <= getattr(self, name) <= 10_000:
                raise TuringTestError(f"{where}: {name} must be a whole number from 0 to 10000")
        if self.kind == "choice" and (len(self.options) < 2 or not set(self.exclude) <= set(self.options)):
            raise TuringTestError(f"{where}: a choice needs two options or more, and excludes some of them")
        if self.kind != "choice" and (self.options or self.exclude):
            raise TuringTestError(f"{where}: options and exclude are for a choice, not for the kind {self.kind}")
        if self.kind != "scale" and self.labels:
            raise TuringTestError(f"{where}: labels are for a scale, not for the kind {self.kind}")
        if self.kind == "scale" and (not 1 <= self.highest - self.lowest <= 20 or len(self.labels) not in (0, 2)):
            raise TuringTestError(f"{where}: a scale has 2 to 21 steps, and labels for its two ends or none")


def questions_from(stored: Any) -> tuple[Question, ...]:
    """Questions from a list of names with values.

    Raises:
        TuringTestError: another form.
    """
    known = {field.name for field in fields(Question)}
    if not isinstance(stored, list | tuple) or not all(isinstance(one, Mapping) for one in stored):
        raise TuringTestError("questions must be a list of tables: [[question]] with name, kind and text")
    found = []
    for one in stored:
        if set(one) - known or not {"name", "kind", "text"} <= set(one):
            raise TuringTestError(f"a question has name, kind, text, perhaps others of {sorted(known)}: {short(one)}")
        lists = {key: tuple(value) if isinstance(value, list | tuple) else (value,) for key, value in one.items()
                 if key in ("options", "exclude", "labels")}  # fmt: skip
        found.append(Question(**{**one, **lists}))
    return tuple(found)


def read_questions(path: Path) -> tuple[Question, ...]:
    """The questions of a TOML file.

    Raises:
        TuringTestError: no such file, or not such questions.
    """
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TuringTestError(f"{path} cannot be read as questions (TOML): {short(error)}") from error
    if set(stored) != {"question"}:
        raise TuringTestError(f"{path} must hold tables [[question]] and nothing else")
    return questions_from(stored["question"])


def read_answers(
    questions: tuple[Question, ...], form: Mapping[str, str], *, plates: Mapping[str, int]
) -> tuple[dict[str, Any], list[str]]:
    """What a form says.

    Args:
        questions: that were asked.
        form: the fields, `before-NAME` each, and `screen`, the window as the browser measured it ("390x844").
        plates: the number in each colored plate.

    Returns:
        The answers by name, and the names of the questions by which this person does not take part.

    Raises:
        TuringTestError: an answer is missing or does not fit.
    """
    answers: dict[str, Any] = {}
    excluded = []
    for one in questions:
        given = form.get("screen" if one.kind == "screen" else f"before-{one.name}", "").strip()
        if not given and one.optional:
            continue
        value = _read(one, given)
        answers[one.name] = value
        if (
            (one.kind == "plate" and value != plates[one.name])
            or (one.kind == "screen" and int(str(value).split("x")[0]) < one.lowest)
            or value in one.exclude
        ):
            excluded.append(one.name)
    return answers, excluded


def _read(question: Question, given: str) -> Any:
    if question.kind == "text":
        fits = 0 < len(given) <= question.longest and "\0" not in given
    elif question.kind == "choice":
        fits = given in question.options
    elif question.kind == "screen":
        width, _, height = given.partition("x")
        fits = width.isascii() and width.isdigit() and height.isascii() and height.isdigit() and len(given) < 14
    else:
        fits = given.isascii() and given.isdigit() and len(given) <= 5
        if fits and question.kind == "scale":
            fits = question.lowest <= int(given) <= question.highest
    if not fits:
        raise TuringTestError(f"no answer to: {question.text}")
    return int(given) if question.kind in ("scale", "plate") else given


def plate_number(secret: bytes, visitor: str, name: str) -> int:
    """The two-digit number of a plate, of this browser and question: 10 to 99."""
    digest = hmac.digest(secret, f"plate\0{visitor}\0{name}".encode(errors="surrogatepass"), "sha256")
    return 10 + int.from_bytes(digest[:4], "big") % 90


def color_plate(number: int, *, seed: int = 0) -> bytes:
    """A PNG of 300 x 300 pixels: the number in reddish dots among greenish ones of the same range of brightness.

    Example:
        >>> color_plate(42)[:4]
        b'\\x89PNG'
    """
    generator = np.random.default_rng((seed, number))
    mask = Image.new("L", (300, 300))
    ImageDraw.Draw(mask).text((150, 150), str(number), fill=255, font_size=200, anchor="mm")
    inside = np.asarray(mask) > 127
    plate = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(plate)
    centers: list[tuple[float, float, float]] = []
    for _ in range(6000):
        x, y, r = generator.uniform(8, 292), generator.uniform(8, 292), generator.uniform(3, 7)
        if all((x - a) ** 2 + (y - b) ** 2 > (r + c) ** 2 for a, b, c in centers):
            centers.append((x, y, r))
            light = generator.uniform(0.7, 1.15)
            color = (210, 120, 80) if inside[int(y), int(x)] else (140, 150, 75)  # alike for red-green color blindness
            draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(min(255, int(light * one)) for one in color))
    file = io.BytesIO()
    plate.save(file, "PNG")
    return file.getvalue()

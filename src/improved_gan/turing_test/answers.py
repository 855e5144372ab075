"""What a judge's browser sends as an answer, checked before anything is stored."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.votes import REAL

__all__ = ["MAX_MS", "Answer", "read_answer"]

MAX_MS = 3_600_000.0


@dataclass(frozen=True)
class Answer:
    """A checked answer: `response` in the language of `votes`, times in milliseconds, `session` as `state` told it."""

    number: int
    response: bool
    rating: int | None
    response_ms: float
    shown_ms: float | None
    session: str | None = None


def read_answer(study: OpenStudy, given: Mapping[str, Any]) -> Answer:
    """Check what a browser sent.

    number, choice (real/generated, left/right, or 1 to 6), response_ms, shown_ms, and the session of `state`, if any.

    Raises:
        TuringTestError: something else.
    """
    number, choice, shown = given.get("number"), given.get("choice"), given.get("shown_ms")
    if type(number) is not int or not 0 <= number < study.settings.length:
        raise TuringTestError("number must be that of a trial")
    session = given.get("session")
    if session is not None and not isinstance(session, str):
        raise TuringTestError("session must be what /state told")
    rating = None
    if study.settings.design == "rating":
        if type(choice) is not int or not 1 <= choice <= 6:
            raise TuringTestError("choice must be 1 to 6")
        rating, response = choice, choice <= 3
    else:
        yes, no = ("right", "left") if study.settings.in_pairs else ("generated", REAL)
        if choice not in (yes, no):
            raise TuringTestError(f"choice must be {yes} or {no}")
        response = choice == yes
    return Answer(
        number,
        response,
        rating,
        _milliseconds(given.get("response_ms")),
        None if shown is None else _milliseconds(shown),
        session,
    )


def _milliseconds(value: Any) -> float:
    """The time, an hour at most: who left the page open over night has answered all the same."""
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise TuringTestError("times must be milliseconds, 0 or more")
    return float(min(value, MAX_MS))

"""The requests of a judge's browser (the current state, an answer), handled in the caller's transaction.

An answer is stored by an UPDATE that holds only while the trial has none and is the judge's next one, so it is
stored once whatever a browser repeats. Told of a trial before the answer: its pictures by random token, nothing else.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, bindparam, func, select, update

from improved_gan.turing_test.errors import OtherSessionError, StudyClosedError, TuringTestError
from improved_gan.turing_test.settings import PREFERENCE, StudySettings
from improved_gan.turing_test.staircase import Staircase
from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.tables import Judge, Study, Trial
from improved_gan.turing_test.tokens import hash_token, matches, sign
from improved_gan.turing_test.votes import CHECK, REAL

__all__ = [
    "MAX_MS", "Answer", "answer", "completion_code", "failed_checks", "find_judge", "pictures_of", "read_answer",
    "state", "store_comment",
]  # fmt: skip

MAX_MS = 3_600_000.0


@dataclass(frozen=True)
class Answer:
    """A checked answer: `choice` in the page's words, times in milliseconds, `session` as `state` told it."""

    number: int
    choice: str
    response_ms: float
    shown_ms: float | None
    session: str | None = None


def read_answer(study: OpenStudy, given: Mapping[str, Any]) -> Answer:
    """Check what a browser sent.

    number, choice (one of `StudySettings.choices`), response_ms, shown_ms, and the session of `state`, if any.

    Raises:
        TuringTestError: something else.
    """
    number, choice, shown = given.get("number"), given.get("choice"), given.get("shown_ms")
    if type(number) is not int or not 0 <= number < study.settings.length:
        raise TuringTestError("number must be that of a trial")
    session = given.get("session")
    if session is not None and not isinstance(session, str):
        raise TuringTestError("session must be the one that /state returned")
    choices = study.settings.choices
    if type(choice) is int:
        choice = str(choice)
    if choice not in choices:
        raise TuringTestError(f"choice must be one of {', '.join(choices)}")
    return Answer(
        number,
        choice,
        _milliseconds(given.get("response_ms")),
        None if shown is None else _milliseconds(shown),
        session,
    )


def _milliseconds(value: Any) -> float:
    """The time, an hour at most: who left the page open over night has answered all the same."""
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise TuringTestError("times must be milliseconds, 0 or more")
    return float(min(value, MAX_MS))


# The statements of an answer, built once: hundreds a second are asked for.
_FIND = (
    select(Judge.id, Judge.number, Judge.arm, Judge.position, Judge.staircase, Judge.completion_code, Study.is_closed)
    .join(Study, Study.id == Judge.study_id)
    .where(Judge.token_hash == bindparam("token"), Judge.study_id == bindparam("study"))
)
_STORE = (
    update(Trial)
    .where(Trial.judge_id == bindparam("judge"), Trial.number == bindparam("place"), Trial.answered_at.is_(None))
    .values({name: bindparam(f"new_{name}") for name in
             ("choice", "response", "rating", "response_ms", "shown_ms", "exposure_ms", "answered_at")})
    .returning(Trial.kind, Trial.signal, Trial.target)
)  # fmt: skip
_SHOWN = select(Trial.target, Trial.model).where(
    Trial.judge_id == bindparam("judge"), Trial.number == bindparam("place")
)
_BESIDE = select(Trial.question, Trial.prompt).where(
    Trial.judge_id == bindparam("judge"), Trial.number == bindparam("place")
)
_AHEAD = 31  # trials after the one that is due, whose pictures are read together
_PICTURES = (
    select(Judge.id, Judge.position, Trial.number, Trial.first_id, Trial.second_id, Trial.third_id)
    .join(Trial, Trial.judge_id == Judge.id)
    .join(Study, Study.id == Judge.study_id)
    .where(Judge.token_hash == bindparam("token"), Judge.study_id == bindparam("study"), Study.is_closed.is_(False))
    .where(Trial.number.between(Judge.position, Judge.position + _AHEAD))
)
_ADVANCE = (
    update(Judge)
    .where(Judge.id == bindparam("judge"))
    .values({name: bindparam(f"new_{name}") for name in ("position", "staircase", "finished_at")})
)


def find_judge(connection: Connection, study: OpenStudy, token: str) -> Row[Any] | None:
    """The judge of that browser, with whether the study is closed; None for an unknown token."""
    return connection.execute(_FIND, {"token": hash_token(token), "study": study.id}).one_or_none()


def state(connection: Connection, study: OpenStudy, judge: Row[Any]) -> dict[str, Any]:
    """Where the judge stands: the trial to answer and the pictures after it, or the completion code."""
    return _state(connection, study, judge, judge.position, judge.staircase)


def _state(
    connection: Connection, study: OpenStudy, judge: Row[Any], position: int, staircase: dict[str, Any] | None
) -> dict[str, Any]:
    settings = study.settings
    told: dict[str, Any] = {
        "session": _session(study, judge.id),
        "position": position,
        "total": settings.length,
        "practice": position < settings.practice * len(settings.asked),
        "code": None,
        "pictures": [],
        "next": [],
        "exposure_ms": _exposure(study, staircase),
    }
    if position >= settings.length:
        return told | {"code": completion_code(connection, study, judge)}
    if study.has_prompts or settings.questions:
        beside = connection.execute(_BESIDE, {"judge": judge.id, "place": position}).one()
        told |= {"question": settings.questions.get(beside.question, ""), "prompt": beside.prompt}
    counted = position - settings.practice * len(settings.asked)
    told["begins"] = counted == 0 and settings.practice > 0
    told["pause"] = settings.break_every > 0 and counted > 0 and counted % settings.break_every == 0
    told["pictures"] = _tokens(study, judge.id, position)
    if position + 1 < settings.length:
        told["next"] = _tokens(study, judge.id, position + 1)
    return told


def _tokens(study: OpenStudy, judge_id: int, number: int) -> list[str]:
    return [sign(study.secret, "picture", judge_id, number, side) for side in range(study.settings.num_pictures)]


def _session(study: OpenStudy, judge_id: int) -> str:
    """What an answer names, so that one that a browser kept is never stored for another judge."""
    return sign(study.secret, "session", judge_id)


def _exposure(study: OpenStudy, staircase: dict[str, Any] | None) -> int | None:
    if study.settings.design != "timed":
        return None
    return study.settings.exposure_ms or Staircase.from_dict(staircase or {}).exposure_ms


def answer(connection: Connection, study: OpenStudy, token: str, given: Answer) -> dict[str, Any]:
    """Store an answer, unless it is stored already, and tell where the judge stands now.

    Returns:
        The state; with `feedback` (correct, truth) where the judge's arm has it and the answer is the judge's last.

    Raises:
        StudyClosedError: the study is closed.
        OtherSessionError: another judge gave the answer.
        TuringTestError: no such judge, or an answer to a trial that is not due yet.
    """
    judge = find_judge(connection, study, token)
    if judge is None:
        raise TuringTestError("no such judge")
    if judge.is_closed:
        raise StudyClosedError("this study is closed")
    if given.session is not None and not matches(given.session, _session(study, judge.id)):
        raise OtherSessionError("another judge gave that answer")
    if given.number > judge.position:
        raise TuringTestError("that trial is not due yet")
    if given.number < judge.position:
        return state(connection, study, judge) | _feedback_again(connection, study, judge, given.number)
    now = datetime.now(UTC)
    shown: Any = None  # what right and wrong depend on, where the choice alone does not say
    if study.settings.design in ("odd_one_out", PREFERENCE):
        shown = connection.execute(_SHOWN, {"judge": judge.id, "place": given.number}).one()
    response, rating = _response(study.settings, given.choice, shown)
    values = {
        "judge": judge.id, "place": given.number, "new_choice": given.choice, "new_response": response,
        "new_rating": rating,
        "new_response_ms": given.response_ms, "new_shown_ms": given.shown_ms,
        "new_exposure_ms": _exposure(study, judge.staircase), "new_answered_at": now,
    }  # fmt: skip
    stored = connection.execute(_STORE, values).one_or_none()
    if stored is None:  # another server stored it between our reading and now
        again = find_judge(connection, study, token)
        assert again is not None
        return state(connection, study, again) | _feedback_again(connection, study, again, given.number)
    correct, staircase = stored.signal == response, judge.staircase
    if staircase is not None and stored.kind == "main":
        staircase = Staircase.from_dict(staircase).after(correct).to_dict()
    position = judge.position + 1
    finished = now if position == study.settings.length else None
    moved = {"judge": judge.id, "new_position": position, "new_staircase": staircase, "new_finished_at": finished}
    connection.execute(_ADVANCE, moved)
    return _state(connection, study, judge, position, staircase) | _feedback(study, judge, stored, correct)


def _response(settings: StudySettings, choice: str, shown: Any) -> tuple[bool, int | None]:
    """Response and rating in the language of `votes`; a check of the design preference is passed by the other side."""
    if settings.design == "rating":
        return int(choice) <= 3, int(choice)
    if shown is None:
        return choice in ("right", "generated"), None
    if settings.design == "odd_one_out":
        return int(choice) == shown.target, None
    return choice == ("right" if shown.model == CHECK else "left"), None


def _feedback(study: OpenStudy, judge: Row[Any], shown: Any, correct: bool) -> dict[str, Any]:
    """What the judge is told of an answer that is stored; nothing in the other arm."""
    if judge.arm != "feedback":
        return {}
    truths = ("left", "right") if study.settings.in_pairs else (REAL, "generated")
    truth = truths[shown.signal] if shown.target is None else str(shown.target)
    return {"feedback": {"correct": correct, "truth": truth}}


def _feedback_again(connection: Connection, study: OpenStudy, judge: Row[Any], number: int) -> dict[str, Any]:
    """The same for an answer sent again, because the reply was lost on the way: of the last one only."""
    if number != judge.position - 1:
        return {}
    which = select(Trial.signal, Trial.target, Trial.response).where(Trial.judge_id == judge.id, Trial.number == number)
    stored = connection.execute(which).one()
    return _feedback(study, judge, stored, stored.signal == stored.response)


def pictures_of(connection: Connection, study: OpenStudy, token: str) -> tuple[list[str], dict[str, int]]:
    """The pictures of this browser's judge; none for an unknown judge or a closed study.

    Returns:
        The tokens of those to be seen now or next, and the ids of pictures by token, for more trials than these.
    """
    now: list[str] = []
    ids: dict[str, int] = {}
    for row in connection.execute(_PICTURES, {"token": hash_token(token), "study": study.id}):
        tokens = _tokens(study, row.id, row.number)
        ids |= {told: picture for told, picture in zip(tokens, row[3:], strict=False) if picture is not None}
        now += tokens if row.number <= row.position + 1 else []
    return now, ids


def failed_checks(connection: Connection, judge_id: int) -> int:
    """How many attention checks a judge failed."""
    query = select(func.count()).where(
        Trial.judge_id == judge_id, Trial.kind == "check", Trial.response != Trial.signal
    )
    return connection.scalar(query) or 0


def completion_code(connection: Connection, study: OpenStudy, judge: Row[Any] | RowMapping) -> str:
    """The code of the last page: another one, if the study has it, for who failed too many attention checks."""
    settings, row = study.settings, judge if isinstance(judge, RowMapping) else judge._mapping
    if settings.failed_code is not None and failed_checks(connection, row["id"]) > settings.max_failed_checks:
        return settings.failed_code
    return str(row["completion_code"])


def store_comment(connection: Connection, judge_id: int, comment: str) -> None:
    """Keep what a judge wrote on the last page; a later text replaces an earlier one."""
    connection.execute(update(Judge).where(Judge.id == judge_id).values(comment=comment))

"""What a judge's browser asks for: begin, where do I stand, here is my answer. All of it in the caller's transaction.

An answer is stored by an UPDATE that holds only while the trial has none and is the judge's next one, so it is
stored once whatever a browser repeats. Told of a trial before the answer: its pictures by random token, nothing else.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from improved_gan.turing_test.errors import StudyClosedError, TuringTestError
from improved_gan.turing_test.plan import CHECK, PlannedTrial, assign_arm, plan_trials
from improved_gan.turing_test.staircase import Staircase
from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.tables import Condition, Judge, Picture, Study, Trial
from improved_gan.turing_test.tokens import hash_token, new_token, sign
from improved_gan.turing_test.votes import REAL

__all__ = ["Answer", "answer", "begin", "find_judge", "picture_of_token", "read_answer", "state"]

MAX_MS = 3_600_000.0

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
             ("response", "rating", "response_ms", "shown_ms", "exposure_ms", "answered_at")})
    .returning(Trial.kind, Trial.signal)
)  # fmt: skip
_ADVANCE = (
    update(Judge)
    .where(Judge.id == bindparam("judge"))
    .values({name: bindparam(f"new_{name}") for name in ("position", "staircase", "finished_at")})
)


@dataclass(frozen=True)
class Answer:
    """A checked answer: `response` in the language of `votes`, times in milliseconds."""

    number: int
    response: bool
    rating: int | None
    response_ms: float
    shown_ms: float | None


def read_answer(study: OpenStudy, given: Mapping[str, Any]) -> Answer:
    """Check what a browser sent: number, choice (real/generated, left/right, or 1 to 6), response_ms, shown_ms.

    Raises:
        TuringTestError: something else.
    """
    number, choice, shown = given.get("number"), given.get("choice"), given.get("shown_ms")
    if type(number) is not int or not 0 <= number < study.settings.length:
        raise TuringTestError("number must be that of a trial")
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
    return Answer(number, response, rating, _milliseconds(given.get("response_ms")), shown and _milliseconds(shown))


def _milliseconds(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= MAX_MS:
        raise TuringTestError("times must be milliseconds from 0 to an hour")
    return float(value)


def begin(connection: Connection, study: OpenStudy, participant: str | None) -> str:
    """A new judge, or the same one again where the recruiter's participant number is known.

    Returns:
        The token that the browser keeps; an earlier one of the same participant no longer works.

    Raises:
        StudyClosedError: the study is closed, or has all the judges it wants.
    """
    token = new_token()
    known = select(Judge.id).where(Judge.study_id == study.id, Judge.participant == participant)
    # the row of the study is locked first, so two browsers that begin at once get different numbers
    counted = update(Study).where(Study.id == study.id, Study.is_closed.is_(False))
    row = connection.execute(counted.values(num_judges=Study.num_judges + 1).returning(Study.num_judges)).one_or_none()
    if row is None:
        raise StudyClosedError("this study is closed")
    judge_id = connection.scalar(known) if participant is not None else None
    full = study.settings.max_judges is not None and row.num_judges > study.settings.max_judges
    if judge_id is not None or full:
        connection.execute(update(Study).where(Study.id == study.id).values(num_judges=Study.num_judges - 1))
    if judge_id is not None:
        connection.execute(update(Judge).where(Judge.id == judge_id).values(token_hash=hash_token(token)))
    elif full:
        raise StudyClosedError("this study has all the judges it needs")
    else:
        _insert_judge(connection, study, participant, token, row.num_judges - 1)
    return token


def _insert_judge(connection: Connection, study: OpenStudy, participant: str | None, token: str, number: int) -> None:
    settings = study.settings
    adaptive = settings.design == "timed" and settings.exposure_ms is None
    judge = insert(Judge).values(
        study_id=study.id,
        number=number,
        token_hash=hash_token(token),
        participant=participant,
        arm=assign_arm(settings, seed=study.seed, number=number),
        position=0,
        staircase=Staircase().to_dict() if adaptive else None,
        completion_code=settings.completion_code or new_token(9),
        started_at=datetime.now(UTC),
    )
    judge_id = connection.execute(judge.returning(Judge.id)).scalar_one()
    plan = plan_trials(settings, list(study.models), seed=study.seed, number=number)
    dealt = _deal(connection, study, plan)
    rows = [
        {
            "judge_id": judge_id,
            "number": k,
            "kind": one.kind,
            "model": one.model,
            "first_id": dealt[one.conditions[0]].pop(),
            "second_id": dealt[one.conditions[1]].pop() if len(one.conditions) == 2 else None,
            "signal": one.signal,
        }
        for k, one in enumerate(plan)
    ]
    connection.execute(insert(Trial), rows)


def _deal(connection: Connection, study: OpenStudy, plan: list[PlannedTrial]) -> dict[str, list[int]]:
    """For each condition as many pictures as the plan needs: those shown least so far, ties at random."""
    dealt = {}
    conditions = connection.execute(select(Condition.id, Condition.name).where(Condition.study_id == study.id)).all()
    for condition_id, name in conditions:
        count = sum(one.conditions.count(name) for one in plan)
        query = select(Picture.id).where(Picture.condition_id == condition_id)
        ids = list(connection.scalars(query.order_by(Picture.num_planned, func.random()).limit(count)))
        connection.execute(update(Picture).where(Picture.id.in_(ids)).values(num_planned=Picture.num_planned + 1))
        if name == CHECK or len(ids) < count:  # few pictures: they come again
            ids = (ids * (count // max(len(ids), 1) + 1))[:count]
        dealt[name] = ids[::-1]
    return dealt


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
        "position": position,
        "total": settings.length,
        "practice": position < settings.practice,
        "code": None,
        "pictures": [],
        "next": [],
        "exposure_ms": _exposure(study, staircase),
    }
    if position >= settings.length:
        return told | {"code": judge.completion_code}
    counted = position - settings.practice
    told["begins"] = counted == 0 and settings.practice > 0
    told["pause"] = settings.break_every > 0 and counted > 0 and counted % settings.break_every == 0
    told["pictures"] = _tokens(study, judge.id, position)
    if position + 1 < settings.length:
        told["next"] = _tokens(study, judge.id, position + 1)
    return told


def _tokens(study: OpenStudy, judge_id: int, number: int) -> list[str]:
    return [sign(study.secret, "picture", judge_id, number, side) for side in range(1 + study.settings.in_pairs)]


def _exposure(study: OpenStudy, staircase: dict[str, Any] | None) -> int | None:
    if study.settings.design != "timed":
        return None
    return study.settings.exposure_ms or Staircase.from_dict(staircase or {}).exposure_ms


def answer(connection: Connection, study: OpenStudy, token: str, given: Answer) -> dict[str, Any]:
    """Store an answer, unless it is stored already, and tell where the judge stands now.

    Returns:
        The state; with `feedback` (correct, truth) where the judge's arm has it and the answer was stored by this call.

    Raises:
        StudyClosedError: the study is closed.
        TuringTestError: no such judge, or an answer to a trial that is not due yet.
    """
    judge = find_judge(connection, study, token)
    if judge is None:
        raise TuringTestError("no such judge")
    if judge.is_closed:
        raise StudyClosedError("this study is closed")
    if given.number > judge.position:
        raise TuringTestError("that trial is not due yet")
    if given.number < judge.position:
        return state(connection, study, judge)
    now = datetime.now(UTC)
    values = {
        "judge": judge.id, "place": given.number, "new_response": given.response, "new_rating": given.rating,
        "new_response_ms": given.response_ms, "new_shown_ms": given.shown_ms,
        "new_exposure_ms": _exposure(study, judge.staircase), "new_answered_at": now,
    }  # fmt: skip
    stored = connection.execute(_STORE, values).one_or_none()
    if stored is None:  # another server stored it between our reading and now
        again = find_judge(connection, study, token)
        assert again is not None
        return state(connection, study, again)
    correct, staircase = stored.signal == given.response, judge.staircase
    if staircase is not None and stored.kind == "main":
        staircase = Staircase.from_dict(staircase).after(correct).to_dict()
    position = judge.position + 1
    finished = now if position == study.settings.length else None
    moved = {"judge": judge.id, "new_position": position, "new_staircase": staircase, "new_finished_at": finished}
    connection.execute(_ADVANCE, moved)
    told = _state(connection, study, judge, position, staircase)
    if judge.arm == "feedback":
        truth = ("right" if stored.signal else "left") if study.settings.in_pairs else (
            "generated" if stored.signal else REAL)  # fmt: skip
        told["feedback"] = {"correct": correct, "truth": truth}
    return told


def picture_of_token(connection: Connection, study: OpenStudy, judge: Row[Any], token: str) -> int | None:
    """The picture's id behind a token, if this judge is to see it now or next; else None."""
    for number in (judge.position, judge.position + 1):
        for side, expected in enumerate(_tokens(study, judge.id, number)):
            if token == expected:
                column = Trial.second_id if side else Trial.first_id
                return connection.scalar(select(column).where(Trial.judge_id == judge.id, Trial.number == number))
    return None

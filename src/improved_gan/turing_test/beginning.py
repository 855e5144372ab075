"""The start of a judge's session: number, arm, all trials and their pictures, in the caller's transaction."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update

from improved_gan.turing_test.dealing import deal
from improved_gan.turing_test.errors import StudyClosedError
from improved_gan.turing_test.plan import PlannedTrial, assign_arm, assign_model, plan_comparisons, plan_trials
from improved_gan.turing_test.settings import PREFERENCE
from improved_gan.turing_test.staircase import Staircase
from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.tables import Judge, Study, Trial
from improved_gan.turing_test.tokens import hash_token, new_token, sign

__all__ = ["HELD_MINUTES", "begin", "places_taken"]

HELD_MINUTES = 10  # for so long a session without an answer counts toward max_judges


def places_taken(connection: Connection, study: OpenStudy) -> int:
    """How many of the study's places are taken: judges who have answered, or have begun in the last minutes."""
    since = datetime.now(UTC) - timedelta(minutes=HELD_MINUTES)
    query = select(func.count(Judge.id)).where(Judge.study_id == study.id)
    return connection.scalar(query.where(or_(Judge.position > 0, Judge.started_at > since))) or 0


def begin(
    connection: Connection,
    study: OpenStudy,
    participant: str | None,
    visitor: str | None = None,
    answers: dict[str, Any] | None = None,
) -> str:
    """A new judge; or the same one again where the participant number or the browser has a session.

    Args:
        connection: in a transaction that writes.
        study: which.
        participant: the recruiter's number of the participant, if known.
        visitor: the random number of the browser (`security.visitor_of`): it has one unfinished session at a time.
        answers: to the questions before the trials.

    Returns:
        The token that the browser keeps; an earlier one of the same participant no longer works.

    Raises:
        StudyClosedError: the study is closed, or has all the judges it wants.
    """
    # the row of the study is locked first, so two browsers that begin at once get different numbers
    locked = update(Study).where(Study.id == study.id, Study.is_closed.is_(False)).values(num_judges=Study.num_judges)
    number = connection.execute(locked.returning(Study.num_judges)).scalar_one_or_none()
    if number is None:
        raise StudyClosedError("this study is closed")
    token, is_there = _token_of(connection, study, participant, visitor)
    if is_there:
        return token
    if participant is not None:
        known = (Judge.study_id == study.id, Judge.participant == participant)
        if connection.execute(update(Judge).where(*known).values(token_hash=hash_token(token))).rowcount:
            return token
    if study.settings.max_judges is not None and places_taken(connection, study) >= study.settings.max_judges:
        raise StudyClosedError("this study has all the judges it needs")
    connection.execute(update(Study).where(Study.id == study.id).values(num_judges=number + 1))
    _insert_judge(connection, study, participant, token, number, answers)
    return token


def _token_of(
    connection: Connection, study: OpenStudy, participant: str | None, visitor: str | None
) -> tuple[str, bool]:
    """The token of this browser's session, and whether that session is there already and not finished.

    Made from the browser's number, not drawn, so that a browser that begins twice, also at the same moment, asks for
    the same session. After a finished session comes the next token of the row.
    """
    if visitor is None:
        return new_token(), False
    for k in itertools.count():
        token = sign(study.secret, "judge", visitor, participant or "", k)
        found = select(Judge.finished_at).where(Judge.study_id == study.id, Judge.token_hash == hash_token(token))
        row = connection.execute(found).one_or_none()
        if row is None or row.finished_at is None or participant is not None:
            return token, row is not None
    raise AssertionError


def _insert_judge(
    connection: Connection, study: OpenStudy, participant: str | None, token: str, number: int,
    answers: dict[str, Any] | None,
) -> None:  # fmt: skip
    settings = study.settings
    adaptive = settings.design == "timed" and settings.exposure_ms is None
    model = None
    if settings.between:
        model = assign_model(list(study.models), secret=study.secret, seed=study.seed, number=number)
    judge = insert(Judge).values(
        study_id=study.id,
        number=number,
        token_hash=hash_token(token),
        participant=participant,
        arm=assign_arm(settings, secret=study.secret, seed=study.seed, number=number),
        model=model,
        position=0,
        answers=answers,
        staircase=Staircase().to_dict() if adaptive else None,
        completion_code=settings.completion_code or new_token(9),
        started_at=datetime.now(UTC),
    )
    judge_id = connection.execute(judge.returning(Judge.id)).scalar_one()
    plan = _plan(connection, study, number, model)
    dealt = deal(connection, study, plan)
    rows = [
        {
            "judge_id": judge_id,
            "number": k,
            "kind": one.kind,
            "model": one.model,
            "other_model": one.other_model,
            "question": one.question,
            "prompt": prompt,
            "first_id": ids[0],
            "second_id": ids[1] if len(ids) > 1 else None,
            "third_id": ids[2] if len(ids) > 2 else None,
            "target": one.target,
            "signal": one.signal,
        }
        for k, (one, (ids, prompt)) in enumerate(zip(plan, dealt, strict=True))
    ]
    connection.execute(insert(Trial), rows)


def _plan(connection: Connection, study: OpenStudy, number: int, model: str | None) -> list[PlannedTrial]:
    settings, models = study.settings, list(study.models)
    if settings.design == PREFERENCE:
        counts = _pair_counts(connection, study) if settings.schedule == "adaptive" else None
        return plan_comparisons(settings, models, secret=study.secret, seed=study.seed, number=number, counts=counts)
    return plan_trials(settings, [model] if model else models, secret=study.secret, seed=study.seed, number=number)


def _pair_counts(connection: Connection, study: OpenStudy) -> list[list[int]]:
    """For each pair of models how often the first was preferred so far, the second, neither; by the first question."""
    query = (
        select(Trial.model, Trial.other_model, Trial.choice, func.count())
        .join(Judge, Judge.id == Trial.judge_id)
        .where(Judge.study_id == study.id, Trial.kind == "main", Trial.choice.is_not(None),
               Trial.question == study.settings.asked[0])
        .group_by(Trial.model, Trial.other_model, Trial.choice)
    )  # fmt: skip
    pairs: dict[Any, list[int]] = {pair: [0, 0, 0] for pair in itertools.combinations(study.models, 2)}
    for left, right, choice, number in connection.execute(query):
        pair = (left, right) if (left, right) in pairs else (right, left)
        outcome = 2 if choice not in ("left", "right") else int((choice == "left") != (pair[0] == left))
        pairs[pair][outcome] += number
    return list(pairs.values())

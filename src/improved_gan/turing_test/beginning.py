"""The start of a judge's session: number, arm, all trials and their pictures, in the caller's transaction."""

import itertools
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, insert, or_, select, update

from improved_gan.turing_test.errors import StudyClosedError
from improved_gan.turing_test.plan import CHECK, PlannedTrial, assign_arm, plan_trials
from improved_gan.turing_test.staircase import Staircase
from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.tables import Condition, Judge, Picture, Study, Trial
from improved_gan.turing_test.tokens import hash_token, new_token, sign

__all__ = ["HELD_MINUTES", "begin", "places_taken"]

HELD_MINUTES = 10  # for so long a session without an answer counts toward max_judges


def places_taken(connection: Connection, study: OpenStudy) -> int:
    """How many of the study's places are taken: judges who have answered, or have begun in the last minutes."""
    since = datetime.now(UTC) - timedelta(minutes=HELD_MINUTES)
    query = select(func.count(Judge.id)).where(Judge.study_id == study.id)
    return connection.scalar(query.where(or_(Judge.position > 0, Judge.started_at > since))) or 0


def begin(connection: Connection, study: OpenStudy, participant: str | None, visitor: str | None = None) -> str:
    """A new judge; or the same one again where the participant number or the browser has a session.

    Args:
        connection: in a transaction that writes.
        study: which.
        participant: the recruiter's number of the participant, if known.
        visitor: the random number of the browser (`security.visitor_of`): it has one unfinished session at a time.

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
    _insert_judge(connection, study, participant, token, number)
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


def _insert_judge(connection: Connection, study: OpenStudy, participant: str | None, token: str, number: int) -> None:
    settings = study.settings
    adaptive = settings.design == "timed" and settings.exposure_ms is None
    judge = insert(Judge).values(
        study_id=study.id,
        number=number,
        token_hash=hash_token(token),
        participant=participant,
        arm=assign_arm(settings, secret=study.secret, seed=study.seed, number=number),
        position=0,
        staircase=Staircase().to_dict() if adaptive else None,
        completion_code=settings.completion_code or new_token(9),
        started_at=datetime.now(UTC),
    )
    judge_id = connection.execute(judge.returning(Judge.id)).scalar_one()
    plan = plan_trials(settings, list(study.models), secret=study.secret, seed=study.seed, number=number)
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

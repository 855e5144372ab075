"""A judge begins: number, arm, all trials and their pictures, in the caller's transaction."""

from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select, update

from improved_gan.turing_test.errors import StudyClosedError
from improved_gan.turing_test.plan import CHECK, PlannedTrial, assign_arm, plan_trials
from improved_gan.turing_test.staircase import Staircase
from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.tables import Condition, Judge, Picture, Study, Trial
from improved_gan.turing_test.tokens import hash_token, new_token

__all__ = ["begin"]


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

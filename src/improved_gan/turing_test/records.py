"""The answers of a study as a table of votes; export with a data dictionary, and import for analysis elsewhere.

The JSON export is complete: another server can show the same report with the same pictures from it.
"""

import base64
import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import SQLAlchemyError, StatementError
from sqlalchemy.orm import aliased

from improved_gan.turing_test.errors import TuringTestError, short
from improved_gan.turing_test.preferences import PREFERENCE_DICTIONARY, Preferences, preferences_from_rows
from improved_gan.turing_test.settings import PREFERENCE, StudySettings
from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.tables import PARTICIPANT_LENGTH, Condition, Judge, Picture, Study, Trial
from improved_gan.turing_test.tokens import hash_token, new_token
from improved_gan.turing_test.votes import DATA_DICTIONARY, Votes, votes_from_rows

__all__ = ["export_study", "import_study", "read_preferences_of", "read_study_votes"]

_FORMAT = "improved-gan turing-test export 2"


def read_study_votes(connection: Connection, study: OpenStudy) -> Votes:
    """Every stored answer of the study, in the order of judges and trials."""
    return votes_from_rows(_vote_rows(connection, study))


def _vote_rows(connection: Connection, study: OpenStudy) -> list[dict[str, Any]]:
    first, second, third = aliased(Picture), aliased(Picture), aliased(Picture)
    query = (
        select(
            Trial,
            Judge.number.label("judge"),
            Judge.arm,
            first.number.label("one"),
            second.number.label("two"),
            third.number.label("three"),
        )
        .join(Judge, Judge.id == Trial.judge_id)
        .join(first, first.id == Trial.first_id)
        .outerjoin(second, second.id == Trial.second_id)
        .outerjoin(third, third.id == Trial.third_id)
        .where(Judge.study_id == study.id, Trial.answered_at.is_not(None))
        .order_by(Judge.number, Trial.number)
    )
    rows, probability = [], study.settings.signal_probability
    for row in connection.execute(query).mappings():
        if study.settings.design == PREFERENCE:
            rows.append(_preference(row))
            continue
        pair, right = row["two"] is not None, row["signal"]  # the real one is on the right
        odd = study.settings.design == "odd_one_out"
        judged = {1: row["one"], 2: row["two"], 3: row["three"]}.get(row["target"])
        rows.append(
            {
                "judge": row["judge"],
                "arm": row["arm"],
                "design": study.settings.design,
                "trial": row["number"],
                "picture": judged if odd else row["two"] if pair and not right else row["one"],
                "partner": (row["two"] if right else row["one"]) if pair and not odd else -1,
                "chosen": row["choice"] if odd else -1,
                "target": row["target"],
                "prompt": row["prompt"],
                "answered_at": _utc(row["answered_at"]),
                "prevalence": None if row["kind"] == "check" else probability,
                **{name: row[name] for name in ("kind", "model", "signal", "response", "rating")},
                **{name: row[name] for name in ("response_ms", "exposure_ms", "shown_ms")},
            }
        )
    return rows


def _preference(row: Any) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("judge", "kind", "question", "prompt", "response_ms")},
        "trial": row["number"], "left": row["model"], "right": row["other_model"], "left_picture": row["one"],
        "right_picture": row["two"], "outcome": row["choice"], "answered_at": _utc(row["answered_at"]),
    }  # fmt: skip


def read_preferences_of(connection: Connection, study: OpenStudy) -> Preferences:
    """Every stored answer of a preference study."""
    return preferences_from_rows(_vote_rows(connection, study))


def _utc(time: datetime | None) -> str | None:
    """ISO 8601; SQLite gives times back without their zone, which is UTC."""
    return None if time is None else time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC).isoformat()


def export_study(connection: Connection, study: OpenStudy, *, pictures: bool, participants: bool) -> dict[str, Any]:
    """The whole study as JSON holds it.

    Args:
        connection: to the database.
        study: which.
        pictures: with the pictures themselves (base64 PNG), so that an import can show them.
        participants: with the recruiter's participant numbers and what pays them (completion codes, the address of the
            last page's link); leave them out of what you publish.
    """
    settings = study.settings.to_dict()
    if not participants:
        settings |= dict.fromkeys(("completion_code", "failed_code", "return_url"))
    rows = connection.execute(select(Condition.id, Condition.name).where(Condition.study_id == study.id))
    conditions = {row.id: row.name for row in rows}
    columns = [
        Picture.id,
        Picture.condition_id,
        Picture.number,
        Picture.file,
        Picture.prompt,
        *([Picture.png] if pictures else []),
    ]
    shown = connection.execute(select(*columns).where(Picture.study_id == study.id).order_by(Picture.number)).all()
    number = {row.id: row.number for row in shown}
    judges = connection.execute(select(Judge).where(Judge.study_id == study.id).order_by(Judge.number)).mappings()
    return {
        "format": _FORMAT,
        "data_dictionary": PREFERENCE_DICTIONARY if study.settings.design == PREFERENCE else DATA_DICTIONARY,
        "study": {"slug": study.slug, "settings": settings, "seed": study.seed,
                  "models": list(study.models), "width": study.width, "height": study.height},
        "pictures": [
            {"number": row.number, "condition": conditions[row.condition_id], "file": row.file, "prompt": row.prompt}
            | ({"png": base64.b64encode(row.png).decode()} if pictures else {})
            for row in shown
        ],
        "judges": [_judge(connection, row, number, participants) for row in judges],
        "votes": _vote_rows(connection, study),
    }  # fmt: skip


def _judge(connection: Connection, row: Any, number: dict[int, int], participants: bool) -> dict[str, Any]:
    trials = connection.execute(select(Trial).where(Trial.judge_id == row["id"]).order_by(Trial.number)).mappings()
    kept = ("number", "arm", "model", "position", "staircase", "completion_code", "answers", "comment")
    private = ("participant", "completion_code", "answers", "comment")
    return {
        **{name: row[name] if participants or name not in private else None for name in (*kept, "participant")},
        "started_at": _utc(row["started_at"]),
        "finished_at": _utc(row["finished_at"]),
        "trials": [
            {
                **{name: trial[name] for name in ("number", "kind", "model", "other_model", "question", "prompt")},
                **{name: trial[name] for name in ("target", "signal", "choice", "response", "rating")},
                **{name: trial[name] for name in ("response_ms", "exposure_ms", "shown_ms")},
                "third": number.get(trial["third_id"]) if trial["third_id"] else None,
                "first": number[trial["first_id"]],
                "second": number.get(trial["second_id"]) if trial["second_id"] else None,
                "answered_at": _utc(trial["answered_at"]),
            }
            for trial in trials
        ],
    }


def import_study(connection: Connection, path: Path) -> tuple[str, str]:
    """Read a JSON export into the database as a closed study of its own.

    Returns:
        The study's name and its researcher's token.

    Raises:
        TuringTestError: not such a file; nothing is stored.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.get("format") != _FORMAT:
            raise TuringTestError(
                f"{path} is no {_FORMAT}: make one with `improved-gan turing-test export --format json`"
            )
        return _import(connection, stored)
    except SQLAlchemyError as error:  # the statement holds the pictures: only the reason is told
        reason = str(error.orig if isinstance(error, StatementError) else error).strip().splitlines()[0]
        raise TuringTestError(f"{path} cannot be read as an export: {short(reason)}") from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        if isinstance(error, TuringTestError):
            raise
        raise TuringTestError(f"{path} cannot be read as an export: {type(error).__name__}: {short(error)}") from error


def _import(connection: Connection, stored: dict[str, Any]) -> tuple[str, str]:
    about, slug, token = stored["study"], secrets.token_hex(4), new_token()
    for name in ("seed", "width", "height"):
        _whole(about[name], name)
    StudySettings.from_dict(about["settings"])
    if any("png" not in one for one in stored["pictures"]):
        raise TuringTestError(
            "this export has no pictures: export it with --pictures, or analyze its CSV with `report`"
        )
    study = insert(Study).values(
        slug=slug, fingerprint=new_token(), settings=about["settings"], secret=new_token().encode(),
        researcher_hash=hash_token(token), seed=about["seed"], is_closed=True, num_judges=len(stored["judges"]),
        width=about["width"], height=about["height"], created_at=datetime.now(UTC),
    )  # fmt: skip
    study_id = connection.execute(study.returning(Study.id)).scalar_one()
    conditions: dict[str, int] = {}
    for name in sorted({one["condition"] for one in stored["pictures"]}):
        made = insert(Condition).values(study_id=study_id, name=name).returning(Condition.id)
        conditions[name] = connection.execute(made).scalar_one()
    ids = {}
    for one in stored["pictures"]:
        if not isinstance(one["file"], str):
            raise TuringTestError(f"a picture's file must be text, not {short(repr(one['file']))}")
        picture = insert(Picture).values(
            study_id=study_id, condition_id=conditions[one["condition"]], file=one["file"], prompt=one["prompt"],
            number=_whole(one["number"], "number"), num_planned=0, png=base64.b64decode(one["png"], validate=True),
        )  # fmt: skip
        ids[one["number"]] = connection.execute(picture.returning(Picture.id)).scalar_one()
    for judge in stored["judges"]:
        _import_judge(connection, study_id, judge, ids)
    return slug, token


def _whole(value: Any, name: str) -> int:
    if type(value) is not int:  # SQLite would store anything
        raise TuringTestError(f"{name} must be a whole number, not {short(repr(value))}")
    return value


def _import_judge(connection: Connection, study_id: int, judge: dict[str, Any], ids: dict[int, int]) -> None:
    times = {name: judge[name] and datetime.fromisoformat(judge[name]) for name in ("started_at", "finished_at")}
    for name in ("number", "position"):
        _whole(judge[name], name)
    if judge["participant"] is not None and not (
        isinstance(judge["participant"], str) and 0 < len(judge["participant"]) <= PARTICIPANT_LENGTH
    ):
        raise TuringTestError(
            f"a participant's number must be text of 1 to {PARTICIPANT_LENGTH} characters, or nothing"
        )
    same = {
        name: judge[name]
        for name in ("number", "arm", "model", "position", "staircase", "participant", "answers", "comment")
    }
    made = insert(Judge).values(study_id=study_id, token_hash=hash_token(new_token()), **same, **times,
                                completion_code=judge["completion_code"] or "")  # fmt: skip
    judge_id = connection.execute(made.returning(Judge.id)).scalar_one()
    rows = [
        {
            **{name: value for name, value in trial.items() if name not in ("first", "second", "third")},
            "judge_id": judge_id,
            "first_id": ids[trial["first"]],
            "second_id": None if trial["second"] is None else ids[trial["second"]],
            "third_id": None if trial["third"] is None else ids[trial["third"]],
            "answered_at": trial["answered_at"] and datetime.fromisoformat(trial["answered_at"]),
        }
        for trial in judge["trials"]
    ]
    if rows:
        connection.execute(insert(Trial), rows)

"""The files of an export beside the complete JSON: tables of answers, participants and pictures, preference pairs.

Every cell of the CSV files is safe in a spreadsheet (`csv_tables`). `preferences.jsonl` has one object a line with
`prompt`, `chosen` and `rejected`, the form that libraries of preference tuning read; the pictures are named by their
files, relative to the folder of their model.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Integer, cast, func, select

from improved_gan.turing_test.csv_tables import table_to_csv
from improved_gan.turing_test.judging import completion_code, failed_checks
from improved_gan.turing_test.preferences import PREFERENCE_DICTIONARY, Preferences, preferences_to_csv
from improved_gan.turing_test.records import read_preferences_of, read_study_votes
from improved_gan.turing_test.settings import PREFERENCE
from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.tables import Condition, Judge, Picture, Trial
from improved_gan.turing_test.votes import DATA_DICTIONARY, votes_to_csv

__all__ = ["TABLE_NAMES", "export_table", "preference_lines"]

_PARTICIPANTS = {
    "judge": "anonymous number of the judge, as in the table of answers",
    "participant": "the recruiter's number; empty where it is left out or there was none",
    "arm": "feedback or no_feedback",
    "model": "studies with one model a judge: which; else empty",
    "started_at": "when the session began, UTC",
    "finished_at": "when its last answer was stored; empty: not finished",
    "answered": "answers, practice and checks included",
    "failed_checks": "attention checks that were failed",
    "median_ms": "median response time of the answers, in milliseconds",
    "completion_code": "the code that the last page shows; empty where it is left out",
    "comment": "what was written on the last page; empty where it is left out",
    "before_NAME": "the answer to the question NAME before the trials; left out with the participants' numbers",
}
_PICTURES = {
    "picture": "number of the picture in the study",
    "model": "its generator; real; or check",
    "file": "its file, relative to its folder",
    "prompt": "the text shown beside it",
    "planned": "sessions' trials that were dealt the picture",
    "answers": "answers to trials that showed it, practice and checks included",
    "wrong": "of these, wrong ones (no meaning in preference studies, left empty)",
}
TABLE_NAMES = ("votes.csv", "preferences.csv", "preferences.jsonl", "participants.csv", "pictures.csv",
               "data_dictionary.json")  # fmt: skip


def export_table(connection: Connection, study: OpenStudy, name: str, *, participants: bool) -> str | None:
    """The text of one of TABLE_NAMES; None where the study's design has no such file.

    Args:
        connection: to the database.
        study: which.
        name: of the file.
        participants: with what a person told: number, code, comment, answers to the questions before the trials.
    """
    is_preference = study.settings.design == PREFERENCE
    if name == "votes.csv":
        return None if is_preference else votes_to_csv(read_study_votes(connection, study))
    if name == "preferences.csv":
        return preferences_to_csv(read_preferences_of(connection, study)) if is_preference else None
    if name == "preferences.jsonl":
        if not is_preference:
            return None
        query = select(Picture.number, Picture.file).where(Picture.study_id == study.id)
        files = {row.number: row.file for row in connection.execute(query)}
        return "".join(f"{line}\n" for line in preference_lines(read_preferences_of(connection, study), files))
    if name == "participants.csv":
        return table_to_csv(_participants(connection, study, participants=participants))
    if name == "pictures.csv":
        return table_to_csv(_pictures(connection, study))
    dictionary = {
        "preferences.csv" if is_preference else "votes.csv": PREFERENCE_DICTIONARY
        if is_preference
        else DATA_DICTIONARY,
        "participants.csv": _PARTICIPANTS,
        "pictures.csv": _PICTURES,
    }
    return json.dumps(dictionary, indent=1) + "\n"


def preference_lines(table: Preferences, files: dict[int, str]) -> Iterable[str]:
    """One JSON object for each main answer that prefers a picture; ties and "both bad" prefer none.

    Args:
        table: the answers.
        files: of the pictures, by number.
    """
    for k in range(len(table)):
        outcome = str(table.outcome[k])
        if table.kind[k] != "main" or outcome not in ("left", "right"):
            continue
        sides = ("left", "right") if outcome == "left" else ("right", "left")
        chosen, rejected = (
            {"model": str(getattr(table, side)[k]), "file": files.get(int(getattr(table, f"{side}_picture")[k]), "")}
            for side in sides
        )
        line = {
            "prompt": str(table.prompt[k]),
            "chosen": chosen["file"],
            "rejected": rejected["file"],
            "chosen_model": chosen["model"],
            "rejected_model": rejected["model"],
            "question": str(table.question[k]),
            "judge": int(table.judge[k]),
        }
        yield json.dumps(line, ensure_ascii=False)


def _participants(connection: Connection, study: OpenStudy, *, participants: bool) -> dict[str, list[Any]]:
    names = [name for name in _PARTICIPANTS if name != "before_NAME"]
    questions = [one.name for one in study.settings.before] if participants else []
    columns: dict[str, list[Any]] = {name: [] for name in (*names, *(f"before_{name}" for name in questions))}
    judges = select(Judge).where(Judge.study_id == study.id).order_by(Judge.number)
    for row in connection.execute(judges).mappings():
        times = select(Trial.response_ms).where(Trial.judge_id == row["id"], Trial.response_ms.is_not(None))
        sorted_ms = sorted(one for one in connection.scalars(times) if one is not None)
        middle = sorted_ms[(len(sorted_ms) - 1) // 2 : len(sorted_ms) // 2 + 1]
        told = {"participant": row["participant"], "comment": row["comment"],
                "completion_code": completion_code(connection, study, row)}  # fmt: skip
        private = told if participants else dict.fromkeys(told)
        values = {
            "judge": row["number"], **private, "arm": row["arm"], "model": row["model"],
            "started_at": str(row["started_at"]), "finished_at": row["finished_at"] and str(row["finished_at"]),
            "answered": row["position"], "failed_checks": failed_checks(connection, row["id"]),
            "median_ms": sum(middle) / len(middle) if middle else None,
            **{f"before_{name}": (row["answers"] or {}).get(name) for name in questions},
        }  # fmt: skip
        for name, column in columns.items():
            column.append(values[name])
    return columns


def _pictures(connection: Connection, study: OpenStudy) -> dict[str, list[Any]]:
    answers: dict[int, list[int]] = {}
    for column in (Trial.first_id, Trial.second_id, Trial.third_id):
        query = (
            select(column, func.count(), func.sum(cast(Trial.response != Trial.signal, Integer)))
            .join(Judge, Judge.id == Trial.judge_id)
            .where(Judge.study_id == study.id, Trial.answered_at.is_not(None), column.is_not(None))
            .group_by(column)
        )
        for number, count, wrong in connection.execute(query):
            entry = answers.setdefault(number or 0, [0, 0])
            entry[0], entry[1] = entry[0] + count, entry[1] + int(wrong or 0)
    columns: dict[str, list[Any]] = {name: [] for name in _PICTURES}
    shown = select(Picture.id, Picture.number, Condition.name, Picture.file, Picture.prompt, Picture.num_planned)
    shown = shown.join(Condition).where(Picture.study_id == study.id).order_by(Picture.number)
    for number, *known in connection.execute(shown):
        count, wrong = answers.get(number, (0, 0))
        values = [*known, count, None if study.settings.design == PREFERENCE else wrong]
        for name, value in zip(_PICTURES, values, strict=True):
            columns[name].append(value)
    return columns

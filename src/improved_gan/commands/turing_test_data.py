"""The commands of `improved-gan turing-test` on stored answers: report, export, import, token, backup."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from improved_gan.turing_test.errors import needs_extra
from improved_gan.turing_test.exclusions import Rules
from improved_gan.turing_test.report import make_report
from improved_gan.turing_test.report_text import report_text
from improved_gan.turing_test.votes import read_votes, votes_to_csv

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["open_study_database", "run_backup", "run_export", "run_import", "run_report", "run_token"]


def open_study_database(db: str, *, must_exist: bool = True) -> "Engine":
    """The database of --db; a missing extra gives a one-line error."""
    try:
        from improved_gan.turing_test.database import open_database
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    return open_database(db, must_exist=must_exist)


def run_report(db: str, study: str | None, *, votes: Path | None, rules: dict[str, Any], out: Path | None) -> None:
    """Print the report of a database's study or of a table."""
    if votes is not None:
        table = read_votes(votes)
    else:
        engine = open_study_database(db)
        from improved_gan.turing_test.database import reading
        from improved_gan.turing_test.records import read_study_votes
        from improved_gan.turing_test.studies import find_study

        with reading(engine) as connection:
            table = read_study_votes(connection, find_study(connection, study))
    found = make_report(table, Rules(**rules))
    typer.echo(report_text(found))
    if out is not None:
        out.write_text(json.dumps(found.to_dict(), indent=1) + "\n", encoding="utf-8")
        typer.echo(f"written: {out}")


def run_export(db: str, study: str | None, *, out: Path, pictures: bool, participants: bool) -> None:
    """Write the three files."""
    engine = open_study_database(db)
    from improved_gan.turing_test.database import reading
    from improved_gan.turing_test.records import export_study, read_study_votes
    from improved_gan.turing_test.studies import find_study

    with reading(engine) as connection:
        found = find_study(connection, study)
        stored = export_study(connection, found, pictures=pictures, participants=participants)
        table = read_study_votes(connection, found)
    out.mkdir(parents=True, exist_ok=True)
    (out / "votes.csv").write_text(votes_to_csv(table), encoding="utf-8")
    (out / "study.json").write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    (out / "data_dictionary.json").write_text(json.dumps(stored["data_dictionary"], indent=1) + "\n", encoding="utf-8")
    typer.echo(f"{len(table)} answers of study {found.slug}: votes.csv, study.json and data_dictionary.json in {out}")


def run_import(db: str, file: Path) -> None:
    """Read an export into a database."""
    engine = open_study_database(db, must_exist=False)
    from improved_gan.turing_test.database import writing
    from improved_gan.turing_test.records import import_study

    with writing(engine) as connection:
        slug, token = import_study(connection, file)
    typer.echo(f"study {slug} in {db}, closed; its results: improved-gan turing-test report --db {db} --study {slug}")
    typer.echo(f"token:       {token}  (shown this once: keep it)")


def run_token(db: str, study: str | None) -> None:
    """Give a study another researcher's token."""
    engine = open_study_database(db)
    from improved_gan.turing_test.database import reading
    from improved_gan.turing_test.studies import find_study, new_researcher_token

    with reading(engine) as connection:
        found = find_study(connection, study)
    typer.echo(f"token:       {new_researcher_token(engine, found)}  (study {found.slug}; shown this once: keep it)")


def run_backup(db: str, *, out: Path) -> None:
    """Copy a database, also while it is served."""
    try:
        from improved_gan.turing_test.backup import back_up
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    answers = back_up(db, out)
    typer.echo(f"{out}: {answers} answers; serve or report it with --db {out}")

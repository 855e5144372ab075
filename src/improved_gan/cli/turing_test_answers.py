"""The commands of `improved-gan turing-test` on stored answers."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from improved_gan.cli.options import argument, command, option

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy import Engine

    from improved_gan.turing_test.exclusions import Rules
    from improved_gan.turing_test.preferences import Preferences
    from improved_gan.turing_test.votes import Votes

__all__ = ["add_commands", "by_name", "database_option", "number", "open_study_database", "seed_option", "write"]


def database_option() -> str:
    """The database of the studies."""
    return option("turing-test.db", help="A file (SQLite), or postgresql://USER:PASSWORD@HOST/NAME.")


def study_option() -> str | None:
    """The study in that database."""
    return option(None, help="Name of the study; required if the database holds several.")


def seed_option() -> int:
    """The seed of a study or simulation."""
    return option(
        0,
        help="Seed of the selection of pictures (trials do not depend on it), or of a simulation.",
        min=0,
        max=2**31 - 1,
    )


def open_study_database(db: str, *, must_exist: bool = True) -> "Engine":
    """The database of --db; a missing extra gives a one-line error."""
    from improved_gan.turing_test.errors import needs_extra

    try:
        from improved_gan.turing_test.database import open_database
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    return open_database(db, must_exist=must_exist)


def by_name(words: Iterable[str], option: str, default: str | None = None) -> dict[str, str]:
    """NAME=VALUE words; without a name the default one, where there is one.

    Raises:
        TuringTestError: a word of another form, or a name given twice.
    """
    from improved_gan.turing_test.errors import TuringTestError

    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and default is not None:
            name, value = default, word
        if not value or name in found:
            raise TuringTestError(f"{option} takes NAME=VALUE, each name once, not {word!r}")
        found[name] = value
    return found


def number(word: str, option: str) -> float:
    """The number in a NAME=NUMBER word.

    Raises:
        TuringTestError: it is none.
    """
    from improved_gan.turing_test.errors import TuringTestError

    try:
        return float(word)
    except ValueError:
        raise TuringTestError(f"{option} takes a number, not {word!r}") from None


def write(out: Path, text: str) -> None:
    """A new file, in folders that are made where they are missing."""
    from improved_gan.io import write_atomically

    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, text.encode())


def column_option() -> Any:
    """`--column`: names of columns in another tool's table."""
    return option((), help="OURS=THEIRS: names of columns in a table of another tool.")


def value_option() -> Any:
    """`--value`: contents of cells in another tool's table."""
    return option((), help="COLUMN.THEIRS=OURS: contents of cells in a table of another tool, as outcome.A=left.")


@dataclass(frozen=True)
class ReportOptions:
    """The options of `turing-test report`."""

    db: str = database_option()
    study: str | None = study_option()
    votes: Path | None = option(None, help="Analyze this CSV table of votes instead of a database.")
    preferences: Path | None = option(None, help="Analyze this CSV table of preferences instead of a database.")
    column: tuple[str, ...] = column_option()
    value: tuple[str, ...] = value_option()
    max_failed_checks: int = option(1, help="Exclude judges who failed more attention checks; -1: no such rule.")
    min_median_ms: float = option(300.0, help="Exclude judges with a smaller median response time (ms).")
    min_answer_ms: float = option(100.0, help="Exclude single answers with a smaller response time (ms).")
    min_trials: int = option(1, help="Exclude judges with fewer answers.")
    out: Path | None = option(None, help="Write the whole report to this JSON file too.", written="file")

    def rules(self) -> "Rules":
        """The rules of exclusion."""
        from improved_gan.turing_test.exclusions import Rules

        return Rules(
            max_failed_checks=None if self.max_failed_checks < 0 else self.max_failed_checks,
            min_median_ms=self.min_median_ms,
            min_answer_ms=self.min_answer_ms,
            min_trials=self.min_trials,
        )


def report(options: ReportOptions, console: "Console") -> None:
    """Print the results: accuracy with intervals, d', arms, learning, and the exclusions with their reasons.

    Example: `improved-gan turing-test report --votes votes.csv`.
    """
    from improved_gan.turing_test.preferences import Preferences
    from improved_gan.turing_test.ranking import rank_models
    from improved_gan.turing_test.report import make_report
    from improved_gan.turing_test.report_formats import ranking_text, report_text

    table, asked, adaptive = _answers(options)
    stored: Any
    if isinstance(table, Preferences):
        rankings = [rank_models(table, name, options.rules(), adaptive=adaptive) for name in asked]
        click.echo("\n\n".join(ranking_text(one) for one in rankings))
        stored = [one.to_dict() for one in rankings]
    else:
        found = make_report(table, options.rules())
        click.echo(report_text(found))
        stored = found.to_dict()
    if options.out is not None:
        write(options.out, json.dumps(stored, indent=1) + "\n")
        click.echo(f"written: {options.out}")


def _answers(options: ReportOptions) -> "tuple[Votes | Preferences, tuple[str, ...], bool]":
    """The table of a database's study, or of a file; the questions about pairs; whether pairs were chosen adaptively.

    Raises:
        TuringTestError: two tables, or names of columns without a table.
    """
    from improved_gan.turing_test.errors import TuringTestError
    from improved_gan.turing_test.preferences import read_preferences
    from improved_gan.turing_test.votes import read_votes

    columns, values = by_name(options.column, "--column"), by_name(options.value, "--value")
    if options.votes is not None and options.preferences is not None:
        raise TuringTestError("--votes or --preferences: a report is of one table")
    if options.preferences is not None:
        table = read_preferences(options.preferences, columns, values)
        return table, tuple(table.questions()) or ("preference",), False
    if options.votes is not None:
        return read_votes(options.votes, columns, values), (), False
    if columns or values:
        raise TuringTestError("--column and --value are for a table: give --votes FILE or --preferences FILE")
    engine = open_study_database(options.db)
    from improved_gan.turing_test.database import reading
    from improved_gan.turing_test.records import read_preferences_of, read_study_votes
    from improved_gan.turing_test.studies import find_study

    with reading(engine) as connection:
        study = find_study(connection, options.study)
        if study.settings.design == "preference":
            found = read_preferences_of(connection, study)
            return found, study.settings.asked, study.settings.schedule == "adaptive"
        return read_study_votes(connection, study), (), False


@dataclass(frozen=True)
class ExportOptions:
    """The options of `turing-test export`."""

    out: Path = option(help="Folder for the tables, study.json and data_dictionary.json.", written="folder")
    db: str = database_option()
    study: str | None = study_option()
    pictures: bool = option(False, help="Include the pictures in study.json, so that it can be imported.")
    participants: bool = option(
        False, help="Include participant numbers, codes, comments and answers before the trials."
    )


def export(options: ExportOptions, console: "Console") -> None:
    """Export a study: tables of answers, participants and pictures, all data as JSON, and a data dictionary.

    Example: `improved-gan turing-test export --out data --pictures`.
    """
    engine, out = open_study_database(options.db), options.out
    from improved_gan.turing_test.database import reading
    from improved_gan.turing_test.export_tables import TABLE_NAMES, export_table
    from improved_gan.turing_test.records import export_study
    from improved_gan.turing_test.studies import find_study

    with reading(engine) as connection:
        study = find_study(connection, options.study)
        stored = export_study(connection, study, pictures=options.pictures, participants=options.participants)
        tables = {
            name: export_table(connection, study, name, participants=options.participants) for name in TABLE_NAMES
        }
    out.mkdir(parents=True, exist_ok=True)
    files = {name: text for name, text in tables.items() if text is not None}
    files["study.json"] = json.dumps(stored, indent=1) + "\n"
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
    click.echo(f"{len(stored['votes'])} answers of study {study.slug}: {', '.join(files)} in {out}")


@dataclass(frozen=True)
class ImportOptions:
    """The options of `turing-test import`."""

    file: Path = argument(
        metavar="FILE", help="A study.json written by `export --pictures`, or another tool's CSV table."
    )
    db: str = database_option()
    out: Path | None = option(None, help="Of a CSV table: file for the table in this tool's columns.", written="file")
    column: tuple[str, ...] = column_option()
    value: tuple[str, ...] = value_option()


def import_(options: ImportOptions, console: "Console") -> None:
    """Import an exported study into a database as a closed study, or convert the answers of another tool.

    A CSV table is checked and written with this tool's columns, for `report`: preferences if it has (or --column
    names) an outcome, votes otherwise.

    Examples: `improved-gan turing-test import data/study.json --db again.db`, `improved-gan turing-test import
    arena.csv --out preferences.csv --column left=model_a --column right=model_b --column outcome=winner --value
    "outcome.model_a=left" --value "outcome.model_b=right"`.
    """
    from improved_gan.turing_test.errors import TuringTestError

    if options.file.suffix.lower() == ".csv":
        return _import_table(options)
    if options.out is not None or options.column or options.value:
        raise TuringTestError(f"--out, --column and --value are for a CSV table, and {options.file} is none")
    engine, db = open_study_database(options.db, must_exist=False), options.db
    from improved_gan.turing_test.database import writing
    from improved_gan.turing_test.records import import_study

    with writing(engine) as connection:
        slug, new_token = import_study(connection, options.file)
    click.echo(f"study {slug} in {db}, closed; its results: improved-gan turing-test report --db {db} --study {slug}")
    click.echo(f"token:       {new_token}  (shown only once: keep it)")
    return None


def _import_table(options: ImportOptions) -> None:
    from improved_gan.turing_test.csv_tables import read_rows
    from improved_gan.turing_test.errors import TuringTestError
    from improved_gan.turing_test.preferences import preferences_to_csv, read_preferences
    from improved_gan.turing_test.votes import read_votes, votes_to_csv

    if options.out is None:
        raise TuringTestError("a table is written, not stored in a database: give --out FILE")
    columns, values = by_name(options.column, "--column"), by_name(options.value, "--value")
    found: Votes | Preferences
    if "outcome" in columns or "outcome" in next(iter(read_rows(options.file, {}, {})), {}):
        found = read_preferences(options.file, columns, values)
        kind, text = "preferences", preferences_to_csv(found)
    else:
        found = read_votes(options.file, columns, values)
        kind, text = "votes", votes_to_csv(found)
    write(options.out, text)
    click.echo(
        f"{len(found)} answers of {len(set(found.judge.tolist()))} judges about {', '.join(found.models())} in "
        f"{options.out}; their analysis: improved-gan turing-test report --{kind} {options.out}"
    )


@dataclass(frozen=True)
class TokenOptions:
    """The options of `turing-test token`."""

    db: str = database_option()
    study: str | None = study_option()


def token(options: TokenOptions, console: "Console") -> None:
    """Print a new researcher's token; the old token becomes invalid.

    Example: `improved-gan turing-test token --db study.db`.
    """
    engine = open_study_database(options.db)
    from improved_gan.turing_test.database import reading
    from improved_gan.turing_test.studies import find_study, new_researcher_token

    with reading(engine) as connection:
        study = find_study(connection, options.study)
    click.echo(f"token:       {new_researcher_token(engine, study)}  (study {study.slug}; shown only once: keep it)")


@dataclass(frozen=True)
class BackupOptions:
    """The options of `turing-test backup`."""

    out: Path = option(help="File to write; it must not exist.", written="file")
    db: str = database_option()


def backup(options: BackupOptions, console: "Console") -> None:
    """Copy a study's database file, also while it is served; the copy is checked.

    Example: `improved-gan turing-test backup --out copy.db`.
    """
    from improved_gan.turing_test.errors import needs_extra

    try:
        from improved_gan.turing_test.database import back_up
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    answers = back_up(options.db, options.out)
    click.echo(f"{options.out}: {answers} answers; serve or report it with --db {options.out}")


def add_commands(group: click.Group) -> None:
    """Add the commands of this module."""
    group.add_command(command("report", ReportOptions, report))
    group.add_command(command("export", ExportOptions, export))
    group.add_command(command("import", ImportOptions, import_))
    group.add_command(command("token", TokenOptions, token))
    group.add_command(command("backup", BackupOptions, backup))

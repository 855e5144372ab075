"""Implementation of the commands of `improved-gan turing-test`, on top of the package `turing_test`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from improved_gan.commands.turing_test_data import open_study_database
from improved_gan.turing_test.chance import judges_needed
from improved_gan.turing_test.errors import TuringTestError, needs_extra
from improved_gan.turing_test.report import make_report
from improved_gan.turing_test.report_text import report_text
from improved_gan.turing_test.settings import CONSENT, StudySettings
from improved_gan.turing_test.simulation import Population, coverage, simulate
from improved_gan.turing_test.votes import votes_to_csv

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from improved_gan.turing_test.studies import OpenStudy

__all__ = ["Folders", "make_settings", "run_create", "run_serve", "run_simulate"]

_MOST_LISTED = 10


@dataclass(frozen=True)
class Folders:
    """Options of the command line for pictures."""

    real: Path | None
    generated: list[str]
    most: int
    size: int | None
    scores: list[str]
    top: list[str]


def make_settings(
    *, design: str, exposure: int | None, judges: int | None, consent: Path | None, **same: Any
) -> StudySettings:
    """The study's settings from the options of the command line.

    Raises:
        TuringTestError: an invalid value, or an unreadable consent file.
    """
    try:
        text = CONSENT if consent is None else consent.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TuringTestError(f"{consent} cannot be read as text: {error}") from error
    return StudySettings(design=design.replace("-", "_"), exposure_ms=exposure, max_judges=judges, consent=text, **same)


def run_serve(
    db: str, folders: Folders, settings: StudySettings, *, seed: int, host: str, port: int, public: bool, rate: float
) -> None:
    """Create or open a study, print its address, and serve it until stopped."""
    try:
        from improved_gan.turing_test.app import create_app
        from improved_gan.turing_test.database import open_database, reading
        from improved_gan.turing_test.limits import Limits
        from improved_gan.turing_test.server import PUBLIC_WARNING, check_host, run_server
        from improved_gan.turing_test.studies import find_study, list_studies
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    if check_host(host, public=public):
        typer.echo(f"note: {PUBLIC_WARNING}", err=True)
    if (folders.real is None) != (not folders.generated):
        raise TuringTestError(
            "a study needs --real FOLDER and --generated FOLDER; without both, the studies in --db are served"
        )
    address = f"http://{'[' + host + ']' if ':' in host else host}:{port}"
    if folders.real is None:
        engine = open_database(db, must_exist=True)
        with reading(engine) as connection:
            studies = list(list_studies(connection))
            for one in studies:
                find_study(connection, one["slug"])  # a damaged study raises an error here, not when a judge opens it
        if not studies:
            raise TuringTestError(f"{db} holds no study: create one with --real FOLDER --generated FOLDER")
        for one in studies:
            typer.echo(f"{address}/s/{one['slug']}  {one['settings']['title']} ({one['answers']} answers)")
    else:
        engine = open_database(db)
        _make(engine, folders, settings, seed, address)
    typer.echo("serving; Ctrl-C stops, the same command continues the same study")
    run_server(create_app(engine, Limits(per_address=rate)), host=host, port=port)


def run_create(db: str, folders: Folders, settings: StudySettings, *, seed: int) -> None:
    """Create a study, and print a summary."""
    _make(open_study_database(db, must_exist=False), folders, settings, seed, "")
    typer.echo(f"serve it with: improved-gan turing-test serve --db {db}")


def _make(engine: "Engine", folders: Folders, settings: StudySettings, seed: int, address: str) -> "OpenStudy":
    from improved_gan.turing_test.studies import StudyFolders, create_study

    assert folders.real is not None
    generated = _named(folders.generated, "--generated", default="generated")
    study, token, collected = create_study(
        engine,
        StudyFolders(
            real=folders.real,
            generated={name: Path(folder) for name, folder in generated.items()},
            most=folders.most,
            size=folders.size,
            scores={name: Path(file) for name, file in _named(folders.scores, "--scores").items()},
            top={name: _number(share, "--top") for name, share in _named(folders.top, "--top").items()},
        ),
        settings,
        seed=seed,
    )
    for one in collected.refused[:_MOST_LISTED]:
        typer.echo(f"not used: {one.file}: {one.reason}", err=True)
    if len(collected.refused) > _MOST_LISTED:
        typer.echo(f"not used: {len(collected.refused) - _MOST_LISTED} more files", err=True)
    for warning in collected.warnings:
        typer.echo(f"warning: {warning}", err=True)
    counts = ", ".join(f"{len(pictures)} {name}" for name, pictures in collected.conditions.items())
    typer.echo(f"study {study.slug}: {counts}; {study.width}x{study.height} pixels, {settings.length} trials a judge")
    typer.echo(f"judges:      {address}/s/{study.slug}")
    if token is None:
        typer.echo(f"researcher:  {address}/s/{study.slug}/results  (this study existed: its token is unchanged)")
    else:
        typer.echo(f"researcher:  {address}/s/{study.slug}/results#{token}")
        typer.echo(f"token:       {token}  (shown this once: keep it)")
    return study


def _named(words: list[str], option: str, default: str | None = None) -> dict[str, str]:
    """NAME=VALUE words; without a name the default one, where there is one."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and default is not None:
            name, value = default, word
        if not value or name in found:
            raise TuringTestError(f"{option} takes NAME=VALUE, each name once, not {word!r}")
        found[name] = value
    return found


def _number(word: str, option: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise TuringTestError(f"{option} takes a number, not {word!r}") from None


def run_simulate(
    judges: int, trials: int, accuracy: list[str], *, gain: float, studies: int, seed: int, out: Path | None
) -> None:
    """Simulate, and print the report and the true values."""
    skills = {name: _number(word, "--accuracy") for name, word in _named(accuracy, "--accuracy", "generated").items()}
    people = Population(skills, feedback_gain=gain)
    if studies > 1:
        found = coverage(people, judges=judges, trials=trials, studies=studies, seed=seed)
        for name, share in found.items():
            typer.echo(f"{name}: the 95% interval held the true value in {share:.1%} of {studies} studies")
        return
    votes = simulate(people, judges=judges, trials=trials, seed=seed)
    typer.echo(report_text(make_report(votes)))
    for name in skills:
        typer.echo(
            f"true value of {name}: {people.true_accuracy(name, judges=judges, trials=trials):.1%} correct, "
            f"d' {people.true_sensitivity(name, judges=judges, trials=trials):.2f}"
        )
    for comparison, words in (("chance", "above chance"), ("within", "between two models, same judges"),
                              ("between", "between two arms")):  # fmt: skip
        needed = judges_needed(trials, comparison=comparison)  # type: ignore[arg-type]
        typer.echo(f"to detect 5 points {words} with {trials} trials each: {needed} judges (power 80%)")
    if out is not None:
        out.write_text(votes_to_csv(votes), encoding="utf-8")
        typer.echo(f"written: {out}")

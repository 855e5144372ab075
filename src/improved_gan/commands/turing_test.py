"""`improved-gan turing-test`: names and options of its commands; the implementations are in `turing_test_actions`.

A study's web part needs the `web` extra, so everything is imported when a command runs.
"""

from pathlib import Path
from typing import Annotated

import typer

from improved_gan.commands.turing_test_options import (
    Database,
    Generated,
    Real,
    Seed,
    StudyName,
    StudyOptions,
    with_options_of_a_study,
)  # fmt: skip

__all__ = ["app"]

app = typer.Typer(
    help="Human evaluation: can people distinguish generated pictures from real ones? Example: "
    "`improved-gan turing-test serve --real photos --generated samples`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
@with_options_of_a_study
def serve(
    real: Real = None,
    generated: Generated = None,
    db: Database = "turing-test.db",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    public: Annotated[bool, typer.Option("--public", help="Allow an address that other machines can reach.")] = False,
    requests_per_second: Annotated[
        float,
        typer.Option(help="Limit for one network address; raise it for a classroom behind a single address.", min=1),
    ] = 100.0,
    *,
    study: StudyOptions,
) -> None:
    """Create a study from two or more folders, or open the existing one, and serve it to judges.

    The same command continues the same study, also after a crash. Without folders, all studies of the database are
    served.

    Example: `improved-gan turing-test serve --real photos --generated samples`.
    """
    from improved_gan.commands.turing_test_actions import run_serve

    folders = study.folders(real, generated or [])
    run_serve(
        db, folders, study.settings(), seed=study.seed, host=host, port=port, public=public, rate=requests_per_second
    )


@app.command()
@with_options_of_a_study
def create(
    real: Annotated[Path, typer.Option(help="Folder of real pictures.")],
    generated: Annotated[
        list[str], typer.Option(help="Folder of generated pictures, or NAME=FOLDER; may be repeated.")
    ],
    db: Database = "turing-test.db",
    *,
    study: StudyOptions,
) -> None:
    """Create a study without serving it: check the folders, store pictures and settings, print the researcher's token.

    Example: `improved-gan turing-test create --real photos --generated a=samples-a --generated b=samples-b`.
    """
    from improved_gan.commands.turing_test_actions import run_create

    run_create(db, study.folders(real, generated), study.settings(), seed=study.seed)


@app.command()
def report(
    db: Database = "turing-test.db",
    study: StudyName = None,
    votes: Annotated[Path | None, typer.Option(help="Analyze this CSV table of votes instead of a database.")] = None,
    max_failed_checks: Annotated[
        int, typer.Option(help="Exclude judges who failed more attention checks; -1: no such rule.")
    ] = 1,
    min_median_ms: Annotated[
        float, typer.Option(help="Exclude judges with a smaller median response time (ms).")
    ] = 300.0,
    min_answer_ms: Annotated[
        float, typer.Option(help="Exclude single answers with a smaller response time (ms).")
    ] = 100.0,
    min_trials: Annotated[int, typer.Option(help="Exclude judges with fewer answers.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Write the whole report to this JSON file too.")] = None,
) -> None:
    """Print the results: accuracy with intervals, d', arms, learning, and the exclusions with their reasons.

    Example: `improved-gan turing-test report --votes votes.csv`.
    """
    from improved_gan.commands.turing_test_data import run_report

    rules = {"max_failed_checks": None if max_failed_checks < 0 else max_failed_checks, "min_median_ms": min_median_ms,
             "min_answer_ms": min_answer_ms, "min_trials": min_trials}  # fmt: skip
    run_report(db, study, votes=votes, rules=rules, out=out)


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder for votes.csv, study.json, data_dictionary.json.")],
    db: Database = "turing-test.db",
    study: StudyName = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Include the pictures in study.json, so that it can be imported.")
    ] = False,
    participants: Annotated[
        bool, typer.Option("--participants", help="Include participant numbers and completion codes, for payment.")
    ] = False,
) -> None:
    """Export a study: a table of votes, all data as JSON, and a data dictionary.

    Example: `improved-gan turing-test export --out data --pictures`.
    """
    from improved_gan.commands.turing_test_data import run_export

    run_export(db, study, out=out, pictures=pictures, participants=participants)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A study.json written by `export --pictures`.")],
    db: Database = "turing-test.db",
) -> None:
    """Import an exported study into a database as a closed study, to show its results or analyze it again.

    Example: `improved-gan turing-test import data/study.json --db again.db`.
    """
    from improved_gan.commands.turing_test_data import run_import

    run_import(db, file)


@app.command()
def token(db: Database = "turing-test.db", study: StudyName = None) -> None:
    """Print a new researcher's token; the old token becomes invalid.

    Example: `improved-gan turing-test token --db study.db`.
    """
    from improved_gan.commands.turing_test_data import run_token

    run_token(db, study)


@app.command()
def backup(
    out: Annotated[Path, typer.Option(help="File to write; it must not exist.")],
    db: Database = "turing-test.db",
) -> None:
    """Copy a study's database file, also while it is served; the copy is checked.

    Example: `improved-gan turing-test backup --out copy.db`.
    """
    from improved_gan.commands.turing_test_data import run_backup

    run_backup(db, out=out)


@app.command()
def simulate(
    judges: Annotated[int, typer.Option(help="Number of judges.", min=1)] = 40,
    trials: Annotated[int, typer.Option(help="Answers per judge.", min=1)] = 50,
    accuracy: Annotated[
        list[str] | None, typer.Option(help="Mean accuracy, or NAME=ACCURACY; may be repeated for several models.")
    ] = None,
    feedback_gain: Annotated[float, typer.Option(help="Increase of d' by feedback until the last trial.")] = 0.0,
    studies: Annotated[
        int, typer.Option(help="Number of simulated studies; above 1, print the coverage of the 95% intervals.", min=1)
    ] = 1,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the simulated votes to this CSV file.")] = None,
) -> None:
    """Simulate judges of known accuracy: print the report, the true values, and the number of judges a study needs.

    Example: `improved-gan turing-test simulate --accuracy cifar=0.787 --judges 40`.
    """
    from improved_gan.commands.turing_test_actions import run_simulate

    run_simulate(judges, trials, accuracy or ["0.7"], gain=feedback_gain, studies=studies, seed=seed, out=out)

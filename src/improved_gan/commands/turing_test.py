"""`improved-gan turing-test`: names and options of its commands; what they do is in `turing_test_actions`.

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
    help="Let people judge: can they tell generated pictures from real ones? Example: `improved-gan turing-test serve "
    "--real photos --generated samples`.",
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
    public: Annotated[bool, typer.Option("--public", help="Allow an address that other machines reach.")] = False,
    requests_per_second: Annotated[
        float, typer.Option(help="For one network address; raise it for a classroom behind one.", min=1)
    ] = 100.0,
    *,
    study: StudyOptions,
) -> None:
    """Make a study of two or more folders, or take up the one that is there, and serve it to judges.

    The same command again, also after a crash, goes on with the same study. Without folders, all studies of the
    database are served.

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
    generated: Annotated[list[str], typer.Option(help="Folder of generated pictures, or NAME=FOLDER; also several.")],
    db: Database = "turing-test.db",
    *,
    study: StudyOptions,
) -> None:
    """Make a study without serving it: check the folders, store pictures and settings, print the researcher's token.

    Example: `improved-gan turing-test create --real photos --generated a=samples-a --generated b=samples-b`.
    """
    from improved_gan.commands.turing_test_actions import run_create

    run_create(db, study.folders(real, generated), study.settings(), seed=study.seed)


@app.command()
def report(
    db: Database = "turing-test.db",
    study: StudyName = None,
    votes: Annotated[Path | None, typer.Option(help="Analyse this CSV table of votes instead of a database.")] = None,
    max_failed_checks: Annotated[int, typer.Option(help="Leave out judges who failed more; -1: no such rule.")] = 1,
    min_median_ms: Annotated[float, typer.Option(help="Leave out judges who are faster in the median.")] = 300.0,
    min_answer_ms: Annotated[float, typer.Option(help="Leave out single answers that are faster.")] = 100.0,
    min_trials: Annotated[int, typer.Option(help="Leave out judges with fewer answers.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Write the whole report to this JSON file too.")] = None,
) -> None:
    """Print what the answers say: accuracy with intervals, d', arms, learning, what was left out and why.

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
        bool, typer.Option("--pictures", help="Put the pictures into study.json, to import it.")
    ] = False,
    participants: Annotated[
        bool, typer.Option("--participants", help="With participant numbers and codes, for payment.")
    ] = False,
) -> None:
    """Write a study's data: a table of votes, everything as JSON, and what each column means.

    Example: `improved-gan turing-test export --out data --pictures`.
    """
    from improved_gan.commands.turing_test_data import run_export

    run_export(db, study, out=out, pictures=pictures, participants=participants)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A study.json that `export --pictures` wrote.")],
    db: Database = "turing-test.db",
) -> None:
    """Read an exported study into a database as a closed one, to look at its results or analyze it again.

    Example: `improved-gan turing-test import data/study.json --db again.db`.
    """
    from improved_gan.commands.turing_test_data import run_import

    run_import(db, file)


@app.command()
def token(db: Database = "turing-test.db", study: StudyName = None) -> None:
    """Print a new researcher's token in place of one that was lost; the old one no longer works, at once.

    Example: `improved-gan turing-test token --db study.db`.
    """
    from improved_gan.commands.turing_test_data import run_token

    run_token(db, study)


@app.command()
def backup(
    out: Annotated[Path, typer.Option(help="File to write; it must not be there yet.")],
    db: Database = "turing-test.db",
) -> None:
    """Copy a study's database file completely, also while it is served; the copy is checked.

    Example: `improved-gan turing-test backup --out copy.db`.
    """
    from improved_gan.commands.turing_test_data import run_backup

    run_backup(db, out=out)


@app.command()
def simulate(
    judges: Annotated[int, typer.Option(help="How many judges.", min=1)] = 40,
    trials: Annotated[int, typer.Option(help="Answers of each.", min=1)] = 50,
    accuracy: Annotated[
        list[str] | None, typer.Option(help="Mean accuracy, or NAME=ACCURACY; several models: several times.")
    ] = None,
    feedback_gain: Annotated[float, typer.Option(help="What feedback adds to d' by the last trial.")] = 0.0,
    studies: Annotated[int, typer.Option(help="Above 1: how often the 95% intervals hold the truth.", min=1)] = 1,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the simulated votes to this CSV file.")] = None,
) -> None:
    """Draw judges of known skill, print the report beside the truth, and how many judges a study needs.

    Example: `improved-gan turing-test simulate --accuracy cifar=0.787 --judges 40`.
    """
    from improved_gan.commands.turing_test_actions import run_simulate

    run_simulate(judges, trials, accuracy or ["0.7"], gain=feedback_gain, studies=studies, seed=seed, out=out)

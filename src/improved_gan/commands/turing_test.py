"""`improved-gan turing-test`: names and options of its commands; what they do is in `turing_test_actions`.

A study's web part needs the `web` extra, so everything is imported when a command runs.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from improved_gan.commands.turing_test_actions import Folders
    from improved_gan.turing_test.settings import StudySettings

__all__ = ["app"]

app = typer.Typer(
    help="Let people judge: can they tell generated pictures from real ones? Example: `improved-gan turing-test serve "
    "--real photos --generated samples`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Database = Annotated[str, typer.Option(help="A file (SQLite), or postgresql://USER:PASSWORD@HOST/NAME.")]
StudyName = Annotated[str | None, typer.Option(help="Which study; needed where the database holds several.")]
Real = Annotated[Path | None, typer.Option(help="Folder of real pictures.")]
Generated = Annotated[
    list[str] | None, typer.Option(help="Folder of generated pictures, or NAME=FOLDER; several models: several times.")
]
Design = Annotated[str, typer.Option(help="yes-no, two-alternative, timed or rating.")]
Feedback = Annotated[str, typer.Option(help="Tell judges after each answer: both (two arms), always or never.")]
Trials = Annotated[int, typer.Option(help="Answers of each judge that count.")]
Practice = Annotated[int, typer.Option(help="Trials before those, not counted.")]
Checks = Annotated[int, typer.Option(help="Attention checks among them: blatantly false pictures.")]
Prevalence = Annotated[float, typer.Option(help="Probability of a generated picture (not in two-alternative).")]
BreakEvery = Annotated[int, typer.Option(help="Trials between offered breaks; 0: none.")]
Exposure = Annotated[int | None, typer.Option(help="timed: fixed milliseconds; default: an adaptive staircase.")]
Judges = Annotated[int | None, typer.Option(help="The study is full after so many judges; default: no limit.")]
Pictures = Annotated[int, typer.Option(help="Pictures taken of each folder at most, at random.")]
Size = Annotated[
    int | None, typer.Option(help="Cut and scale all pictures to so many pixels; default: chosen where sizes differ.")
]
Scores = Annotated[list[str] | None, typer.Option(help="NAME=FILE: scores of a model's pictures, CSV or JSON.")]
Top = Annotated[list[str] | None, typer.Option(help="NAME=SHARE: show only the best-scoring share, as 0.01.")]
Title = Annotated[str, typer.Option(help="Heading of the judges' pages.")]
Consent = Annotated[Path | None, typer.Option(help="Text file with what judges agree to; default: a general text.")]
Code = Annotated[str | None, typer.Option(help="One completion code for all (Prolific); default: one for each judge.")]
ReturnUrl = Annotated[str | None, typer.Option(help="https address of the last page's link.")]
Seed = Annotated[int, typer.Option(help="Decides which pictures are taken; trials are secret.", min=0, max=2**31 - 1)]


@dataclass(frozen=True)
class StudyOptions:
    """The options of a study, with their names on the command line: what `serve` and `create` share."""

    design: Design = "yes-no"
    feedback: Feedback = "both"
    trials: Trials = 50
    practice: Practice = 4
    checks: Checks = 3
    prevalence: Prevalence = 0.5
    break_every: BreakEvery = 25
    exposure: Exposure = None
    judges: Judges = None
    pictures: Pictures = 500
    size: Size = None
    scores: Scores = None
    top: Top = None
    title: Title = "Real or generated?"
    consent: Consent = None
    completion_code: Code = None
    return_url: ReturnUrl = None
    seed: Seed = 0

    def folders(self, real: Path | None, generated: list[str]) -> "Folders":
        """The pictures."""
        from improved_gan.commands.turing_test_actions import Folders

        return Folders(real, generated, self.pictures, self.size, self.scores or [], self.top or [])

    def settings(self) -> "StudySettings":
        """All but the pictures.

        Raises:
            TuringTestError: a value that does not fit.
        """
        from improved_gan.commands.turing_test_actions import make_settings

        of_pictures = ("pictures", "size", "scores", "top", "seed")
        return make_settings(
            **{one.name: getattr(self, one.name) for one in fields(self) if one.name not in of_pictures}
        )


def _with_options_of_a_study(command: Callable[..., None]) -> Callable[..., None]:
    """A command with each option of a study in place of its parameter `study`; typer reads the signature."""
    shared = fields(StudyOptions)

    @wraps(command)
    def with_options(**words: Any) -> None:
        command(study=StudyOptions(**{one.name: words.pop(one.name) for one in shared}), **words)

    own = [one for name, one in signature(command).parameters.items() if name != "study"]
    options = [Parameter(one.name, Parameter.KEYWORD_ONLY, default=one.default, annotation=one.type) for one in shared]
    parameters = [*own, *options]
    with_options.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options


@app.command()
@_with_options_of_a_study
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
@_with_options_of_a_study
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
    from improved_gan.commands.turing_test_actions import run_report

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
    from improved_gan.commands.turing_test_actions import run_export

    run_export(db, study, out=out, pictures=pictures, participants=participants)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A study.json that `export --pictures` wrote.")],
    db: Database = "turing-test.db",
) -> None:
    """Read an exported study into a database as a closed one, to look at its results or analyse it again.

    Example: `improved-gan turing-test import data/study.json --db again.db`.
    """
    from improved_gan.commands.turing_test_actions import run_import

    run_import(db, file)


@app.command()
def token(db: Database = "turing-test.db", study: StudyName = None) -> None:
    """Print a new researcher's token in place of one that was lost; the old one no longer works, at once.

    Example: `improved-gan turing-test token --db study.db`.
    """
    from improved_gan.commands.turing_test_actions import run_token

    run_token(db, study)


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

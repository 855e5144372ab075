"""`improved-gan turing-test`: the group of commands, and those that make a study: serve and create.

A study's web part needs the `web` extra, so everything is imported when a command runs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from improved_gan.cli import turing_test_answers as answers
from improved_gan.cli.options import CommandGroup, command, option, options_of
from improved_gan.cli.turing_test_simulate import SimulateOptions, simulate

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy import Engine

    from improved_gan.turing_test.collection import StudyFolders
    from improved_gan.turing_test.settings import StudySettings

__all__ = ["CreateOptions", "ServeOptions", "StudyOptions", "create", "serve", "turing_test"]

_MOST_LISTED = 10


@dataclass(frozen=True)
class StudyOptions:
    """The options of a study, which `serve` and `create` share."""

    design: str = option("yes-no", help="yes-no, two-alternative, timed, rating, odd-one-out or preference.")
    feedback: str = option(
        "both", help="Show judges after each answer whether it was right: both (two arms), always or never."
    )
    trials: int = option(50, help="Counted answers per judge.")
    practice: int = option(4, help="Practice trials before these, not counted.")
    checks: int = option(3, help="Attention checks among the trials: obviously false pictures.")
    prevalence: float = option(0.5, help="Probability of a generated picture (not in two-alternative).")
    break_every: int = option(25, help="Trials between breaks; 0: no breaks.")
    exposure: int | None = option(
        None, help="Design `timed`: exposure in milliseconds; default: an adaptive staircase."
    )
    judges: int | None = option(None, help="Maximum number of judges; default: no limit.")
    pictures: int = option(500, help="Maximum number of pictures per folder, chosen at random.")
    size: int | None = option(None, help="Crop and scale all pictures to N pixels; default: chosen if sizes differ.")
    scores: tuple[str, ...] = option((), help="NAME=FILE: scores of a model's pictures, CSV or JSON.")
    top: tuple[str, ...] = option((), help="NAME=FRACTION: show only the fraction with the best scores, such as 0.01.")
    title: str = option("Real or generated?", help="Heading of the judges' pages.")
    between: bool = option(False, help="Show each judge one model only.")
    schedule: str = option("balanced", help="Preference: pairs balanced, or adaptive (the most informative first).")
    no_ties: bool = option(False, help="Preference: do not offer the answer 'no difference'.")
    both_bad: bool = option(False, help="Preference: offer the answer 'both are bad'.")
    question: tuple[str, ...] = option((), help="Preference: NAME=TEXT asked about each pair; may be repeated.")
    prompts: Path | None = option(None, help="CSV with columns file and prompt: texts shown beside the pictures.")
    language: str = option("en", help="Language of the judges' pages: en, de, or any with a complete --texts file.")
    texts: Path | None = option(None, help="TOML file with texts that replace those of the judges' pages.")
    before: Path | None = option(None, help="TOML file with questions before the first trial.")
    consent: Path | None = option(None, help="Text file of the consent form; default: a general text.")
    comment: bool = option(False, help="Offer a box for a comment on the last page.")
    completion_code: str | None = option(
        None, help="One completion code for all judges (Prolific); default: one per judge."
    )
    failed_code: str | None = option(None, help="Completion code of judges who failed more checks than allowed.")
    allowed_failed_checks: int = option(1, help="Failed attention checks up to which --failed-code is not given.")
    return_url: str | None = option(None, help="https address of the link on the last page; {code} is the code.")
    seed: int = answers.seed_option()

    def folders(self, real: Path | None, generated: Iterable[str]) -> "StudyFolders":
        """The pictures: a folder of real ones, and FOLDER or NAME=FOLDER of generated ones."""
        from improved_gan.turing_test.collection import StudyFolders

        named = answers.by_name(generated, "--generated", default="generated")
        return StudyFolders(
            real=real,
            generated={name: Path(folder) for name, folder in named.items()},
            most=self.pictures,
            size=self.size,
            scores={name: Path(file) for name, file in answers.by_name(self.scores, "--scores").items()},
            top={name: answers.number(share, "--top") for name, share in answers.by_name(self.top, "--top").items()},
            prompts=self.prompts,
        )

    def settings(self) -> "StudySettings":
        """All settings other than the pictures.

        Raises:
            TuringTestError: an invalid value, or an unreadable consent file.
        """
        from improved_gan.turing_test.questions import read_questions
        from improved_gan.turing_test.settings import StudySettings

        return StudySettings(
            design=self.design.replace("-", "_"),
            feedback=self.feedback,
            trials=self.trials,
            practice=self.practice,
            checks=self.checks,
            prevalence=self.prevalence,
            break_every=self.break_every,
            exposure_ms=self.exposure,
            max_judges=self.judges,
            title=self.title,
            completion_code=self.completion_code,
            failed_code=self.failed_code,
            max_failed_checks=self.allowed_failed_checks,
            between=self.between,
            schedule=self.schedule,
            ties=not self.no_ties,
            both_bad=self.both_bad,
            questions=answers.by_name(self.question, "--question"),
            before=() if self.before is None else read_questions(self.before),
            comment=self.comment,
            language=self.language,
            texts=self._texts(),
            return_url=self.return_url,
        )

    def _texts(self) -> dict[str, Any]:
        """The texts that replace the language's own; the consent file is one of them."""
        from improved_gan.turing_test.errors import TuringTestError
        from improved_gan.turing_test.texts import read_texts

        texts = {} if self.texts is None else read_texts(self.texts)
        if self.consent is None:
            return texts
        try:
            text = self.consent.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TuringTestError(f"{self.consent} cannot be read as text: {error}") from error
        if not text:
            raise TuringTestError(f"{self.consent} is empty: a study needs a consent text")
        return {**texts, "consent": text.replace("{", "{{").replace("}", "}}")}


@dataclass(frozen=True)
class ServeOptions:
    """The options of `turing-test serve`."""

    real: Path | None = option(None, help="Folder of real pictures.")
    generated: tuple[str, ...] = option(
        (), help="Folder of generated pictures, or NAME=FOLDER; may be repeated for several models."
    )
    db: str = answers.database_option()
    host: str = option("127.0.0.1", help="Address to listen on.")
    port: int = option(8000, help="Port to listen on.", min=1, max=65535)
    root_path: str = option("", help="Path below which a proxy serves the study, such as /study.")
    public: bool = option(False, help="Allow an address that other machines can reach.")
    requests_per_second: float = option(
        100.0, help="Limit for one network address; raise it for a classroom behind a single address.", min=1
    )
    study: StudyOptions = options_of(StudyOptions)


@dataclass(frozen=True)
class CreateOptions:
    """The options of `turing-test create`."""

    generated: tuple[str, ...] = option(help="Folder of generated pictures, or NAME=FOLDER; may be repeated.")
    real: Path | None = option(None, help="Folder of real pictures; not needed in the design preference.")
    db: str = answers.database_option()
    study: StudyOptions = options_of(StudyOptions)


def serve(options: ServeOptions, console: "Console") -> None:
    """Create a study from two or more folders, or open the existing one, and serve it to judges.

    The same command continues the same study, also after a crash. Without folders, all studies of the database are
    served.

    Example: `improved-gan turing-test serve --real photos --generated samples`.
    """
    from improved_gan.turing_test.errors import TuringTestError, needs_extra

    try:
        from improved_gan.turing_test.app import create_app
        from improved_gan.turing_test.database import open_database
        from improved_gan.turing_test.limits import Limits
        from improved_gan.turing_test.server import PUBLIC_WARNING, check_host, run_server
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    settings = options.study.settings()
    if check_host(options.host, public=options.public):
        click.echo(f"note: {PUBLIC_WARNING}", err=True)
    if (options.real is None) != (not options.generated) and settings.design != "preference":
        raise TuringTestError(
            "a study needs --real FOLDER and --generated FOLDER; without both, the studies in --db are served"
        )
    if not options.generated and options.study != (plain := StudyOptions()):
        given = ", ".join(f"--{name.replace('_', '-')}" for name in vars(plain)
                          if getattr(options.study, name) != getattr(plain, name))  # fmt: skip
        raise TuringTestError(f"{given}: for a new study, which needs --generated FOLDER; stored ones keep their own")
    host = f"[{options.host}]" if ":" in options.host else options.host
    address = f"http://{host}:{options.port}{options.root_path}"
    engine = open_database(options.db, must_exist=not options.generated)
    if not options.generated:
        _list_studies(engine, options.db, address)
    else:
        folders = options.study.folders(options.real, options.generated)
        _create(engine, folders, settings, seed=options.study.seed, address=address)
    click.echo("serving; Ctrl-C stops, the same command continues the same study")
    limits = Limits(per_address=options.requests_per_second)
    run_server(create_app(engine, limits, root_path=options.root_path), host=options.host, port=options.port)


def create(options: CreateOptions, console: "Console") -> None:
    """Create a study without serving it: check the folders, store pictures and settings, print the researcher's token.

    Example: `improved-gan turing-test create --real photos --generated a=samples-a --generated b=samples-b`.
    """
    folders, settings = options.study.folders(options.real, options.generated), options.study.settings()
    engine = answers.open_study_database(options.db, must_exist=False)
    _create(engine, folders, settings, seed=options.study.seed, address="")
    click.echo(f"serve it with: improved-gan turing-test serve --db {options.db}")


def _list_studies(engine: "Engine", db: str, address: str) -> None:
    """Print the address of each study; one that is damaged raises its error here, not when a judge opens it."""
    from improved_gan.turing_test.database import reading
    from improved_gan.turing_test.errors import TuringTestError
    from improved_gan.turing_test.studies import find_study, list_studies

    with reading(engine) as connection:
        studies = list(list_studies(connection))
        for one in studies:
            find_study(connection, one["slug"])
    if not studies:
        raise TuringTestError(f"{db} holds no study: create one with --real FOLDER --generated FOLDER")
    for one in studies:
        click.echo(f"{address}/s/{one['slug']}  {one['settings']['title']} ({one['answers']} answers)")


def _create(engine: "Engine", folders: "StudyFolders", settings: "StudySettings", *, seed: int, address: str) -> None:
    """Create the study, or find it, and print a summary with its addresses."""
    from improved_gan.turing_test.studies import create_study

    study, token, collected = create_study(engine, folders, settings, seed=seed)
    for one in collected.refused[:_MOST_LISTED]:
        click.echo(f"not used: {one.file}: {one.reason}", err=True)
    if len(collected.refused) > _MOST_LISTED:
        click.echo(f"not used: {len(collected.refused) - _MOST_LISTED} more files", err=True)
    for warning in collected.warnings:
        click.echo(f"warning: {warning}", err=True)
    counts = ", ".join(f"{len(pictures)} {name}" for name, pictures in collected.conditions.items())
    click.echo(f"study {study.slug}: {counts}; {study.width}x{study.height} pixels, {settings.length} trials a judge")
    click.echo(f"judges:      {address}/s/{study.slug}")
    if token is None:
        click.echo(f"researcher:  {address}/s/{study.slug}/results  (this study existed: its token is unchanged)")
    else:
        click.echo(f"researcher:  {address}/s/{study.slug}/results#{token}")
        click.echo(f"token:       {token}  (shown only once: keep it)")


turing_test = CommandGroup(
    "turing-test",
    help="Human evaluation: can people distinguish generated pictures from real ones? Example: "
    "`improved-gan turing-test serve --real photos --generated samples`.",
    no_args_is_help=True,
)
turing_test.add_command(command("serve", ServeOptions, serve))
turing_test.add_command(command("create", CreateOptions, create))
answers.add_commands(turing_test)
turing_test.add_command(command("simulate", SimulateOptions, simulate))

"""The options of a study on the command line, declared once for the commands of `improved-gan turing-test`."""

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

__all__ = ["Database", "Generated", "Real", "Seed", "StudyName", "StudyOptions", "with_options_of_a_study"]

Database = Annotated[str, typer.Option(help="A file (SQLite), or postgresql://USER:PASSWORD@HOST/NAME.")]
StudyName = Annotated[str | None, typer.Option(help="Name of the study; required if the database holds several.")]
Real = Annotated[Path | None, typer.Option(help="Folder of real pictures.")]
Generated = Annotated[
    list[str] | None,
    typer.Option(help="Folder of generated pictures, or NAME=FOLDER; may be repeated for several models."),
]
Design = Annotated[str, typer.Option(help="yes-no, two-alternative, timed or rating.")]
Feedback = Annotated[
    str, typer.Option(help="Show judges after each answer whether it was right: both (two arms), always or never.")
]
Trials = Annotated[int, typer.Option(help="Counted answers per judge.")]
Practice = Annotated[int, typer.Option(help="Practice trials before these, not counted.")]
Checks = Annotated[int, typer.Option(help="Attention checks among the trials: obviously false pictures.")]
Prevalence = Annotated[float, typer.Option(help="Probability of a generated picture (not in two-alternative).")]
BreakEvery = Annotated[int, typer.Option(help="Trials between breaks; 0: no breaks.")]
Exposure = Annotated[
    int | None, typer.Option(help="Design `timed`: exposure in milliseconds; default: an adaptive staircase.")
]
Judges = Annotated[int | None, typer.Option(help="Largest number of judges; default: no limit.")]
Pictures = Annotated[int, typer.Option(help="Largest number of pictures per folder, chosen at random.")]
Size = Annotated[
    int | None, typer.Option(help="Crop and scale all pictures to N pixels; default: chosen if sizes differ.")
]
Scores = Annotated[list[str] | None, typer.Option(help="NAME=FILE: scores of a model's pictures, CSV or JSON.")]
Top = Annotated[
    list[str] | None, typer.Option(help="NAME=FRACTION: show only the fraction with the best scores, as 0.01.")
]
Title = Annotated[str, typer.Option(help="Heading of the judges' pages.")]
Consent = Annotated[Path | None, typer.Option(help="Text file of the consent form; default: a general text.")]
Code = Annotated[
    str | None, typer.Option(help="One completion code for all judges (Prolific); default: one per judge.")
]
ReturnUrl = Annotated[str | None, typer.Option(help="https address of the link on the last page.")]
Seed = Annotated[
    int, typer.Option(help="Seed that selects the pictures; trials do not depend on it.", min=0, max=2**31 - 1)
]


@dataclass(frozen=True)
class StudyOptions:
    """The options of a study that `serve` and `create` share; the fields are the option names."""

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
        """All settings other than the pictures.

        Raises:
            TuringTestError: a value that does not fit.
        """
        from improved_gan.commands.turing_test_actions import make_settings

        of_pictures = ("pictures", "size", "scores", "top", "seed")
        return make_settings(
            **{one.name: getattr(self, one.name) for one in fields(self) if one.name not in of_pictures}
        )


def with_options_of_a_study(command: Callable[..., None]) -> Callable[..., None]:
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

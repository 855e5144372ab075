import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from improved_gan.cli.options import CommandGroup, argument, command, option, options_of


@dataclass(frozen=True)
class Shared:
    num_labels: int | None = option(None, help="Number of labels.", min=1)
    rate: float = option(0.5, "--learning-rate", help="Learning rate.", max=1)
    scale: float = option(1.0, help="Scale.")


@dataclass(frozen=True)
class Options:
    folder: Path = argument(metavar="DIR", help="A folder.")
    out: str = option(help="Where to write.")
    files: tuple[Path, ...] = argument((), help="Files.")
    dry_run: bool = option(False, "-n", help="Do nothing.")
    compile: bool | None = option(None, help="Compile.")
    names: tuple[str, ...] = option((), help="Names.")
    seeds: tuple[int, ...] = option((), help="Seeds.", several_numbers=True)
    shared: Shared = options_of(Shared)

    def __post_init__(self) -> None:
        if self.out == "nowhere":
            raise click.BadParameter("it must be somewhere", param_hint="--out")


def go(*words: str, code: int | None = None) -> tuple[Result, list[Options]]:
    seen: list[Options] = []

    def run(options: Options, console: Any) -> int | None:
        """Do it.

        Example: `do x`.
        """
        seen.append(options)
        return code

    return CliRunner().invoke(command("do", Options, run), words), seen


def test_the_fields_are_the_options_with_their_types_and_defaults() -> None:
    result, seen = go("x", "--out", "y")
    assert (result.exit_code, result.output) == (0, "")
    assert seen == [Options(Path("x"), "y", (), False, None, (), (), Shared(None, 0.5))]
    words = "x --out y f g -n --no-compile --names a --names b --num-labels 3 --learning-rate 0.25"
    expected = Options(Path("x"), "y", (Path("f"), Path("g")), True, False, ("a", "b"), (), Shared(3, 0.25))
    assert go(*words.split())[1] == [expected]


@pytest.mark.parametrize("words", ["--seeds 1 2 30", "--seeds=1 2 30", "--seeds 1 --seeds 2 30"])
def test_an_option_takes_several_numbers(words: str) -> None:
    assert go("x", "--out", "y", *words.split())[1][0].seeds == (1, 2, 30)


def test_a_word_after_a_single_number_is_an_argument() -> None:
    assert go("x", "--out", "y", "--num-labels", "3", "4")[1][0].files == (Path("4"),)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("x", "Missing option '--out'"),
        ("--out y", "Missing argument 'DIR'"),
        ("x --out y --num-labels 0", "0 is not in the range x>=1"),
        ("x --out y --learning-rate 1.5", "1.5 is not in the range x<=1"),
        ("x --out y --scale inf", "Invalid value for '--scale': 'inf' is not a finite number"),
        ("x --out y --scale z", "'z' is not a valid float."),
        ("x --out y --learning-rate nan", "Invalid value for '--learning-rate': 'nan' is not a finite number"),
        ("x --out y --learning-rate=-inf", "'-inf' is not a finite number"),
        ("x --out y --num-labels z", "'z' is not a valid integer"),
        ("x --out nowhere", "Invalid value for --out: it must be somewhere"),
        ("x --out y --num_labels 3", "No such option"),
    ],
)
def test_wrong_usage_says_what_and_where(words: str, message: str) -> None:
    result, seen = go(*words.split())
    assert (result.exit_code, seen) == (2, [])
    assert message in result.output
    assert result.output.startswith("Usage: do [OPTIONS] DIR [FILES]...")


def test_the_result_is_the_exit_code() -> None:
    assert go("x", "--out", "y", code=1)[0].exit_code == 1
    assert go("x", "--out", "y", code=0)[0].exit_code == 0


def test_the_help_text_is_that_of_the_function_and_of_the_fields() -> None:
    text = go("--help")[0].output
    for part in ("Do it.", "Example: `do x`.", "A folder.", "-n, --dry-run", "--compile / --no-compile",
                 "--num-labels <int range>", "[x>=1]", "[default: 0.5; x<=1]", "--scale <float>", "[default: 1.0]",
                 "--names <list[str]>"):  # fmt: skip
        assert part in text
    assert "[required]" in next(line for line in text.splitlines() if "--out" in line)


def test_a_group_lists_commands_as_they_were_added() -> None:
    group = CommandGroup("all")
    for name in ("second", "first"):
        group.add_command(command(name, Shared, lambda options, console: None, help="Do it."))
    screen = io.StringIO(CliRunner().invoke(group, ["--help"]).output)
    assert [line.split()[0] for line in screen if line.strip().endswith("Do it.")] == ["second", "first"]


@dataclass(frozen=True)
class Writing:
    json: Path | None = option(None, help="A file.", written="file")
    out: Path = option(Path("runs"), help="A folder.", written="folder")
    dry_run: bool = option(False, "-n", help="Do nothing.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--json -", "'--json': the command writes a file, not to standard output"),
        ("--json {folder}", "'--json': {folder} is a folder: name a file in it"),
        ("--json /dev/null", "'--json': /dev/null is not a regular file"),
        ("--json {file}/a.json", "'--json': {file} is a file, so {file}/a.json cannot be written"),
        ("--json {file}/x/y/a.json", "{file} is a file, so"),
        ("--out {file}", "'--out': {file} is a file: name a folder"),
        ("--out {file}/runs", "{file} is a file, so"),
    ],
)
def test_a_path_that_cannot_be_written_is_an_error_at_the_start(words: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    names = {"file": tmp_path / "file", "folder": tmp_path}

    def run(options: Writing, console: Any) -> None:
        """Do it."""
        pytest.fail("the work was begun")

    result = CliRunner().invoke(command("do", Writing, run), words.format(**names).split())
    assert result.exit_code == 2
    assert message.format(**names) in " ".join(result.output.split())


@pytest.mark.parametrize("words", ["", "--json {folder}/new/a.json", "--json {file}", "--out {folder}/a/b", "--out ."])
def test_new_files_and_folders_and_existing_files_can_be_written(words: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    seen = []

    def run(options: Writing, console: Any) -> None:
        """Do it."""
        seen.append(options)

    given = words.format(file=tmp_path / "file", folder=tmp_path).split()
    assert CliRunner().invoke(command("do", Writing, run), given).exit_code == 0
    assert len(seen) == 1
    assert not (tmp_path / "new").exists()


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the superuser has every permission

    def run(options: Writing, console: Any) -> None:
        """Do it."""

    words = ["--json", str(tmp_path / "a.json")]
    result = CliRunner().invoke(command("do", Writing, run), words)
    assert result.exit_code == 2
    assert "'--json': " in result.output
    assert "cannot be written into" in " ".join(result.output.split())
    for dry in (["-n", *words], [*words, "--dry-run"]):
        assert CliRunner().invoke(command("do", Writing, run), dry).exit_code == 0

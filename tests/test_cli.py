"""The command as a user runs it: help, exit codes, one-line errors."""

import subprocess
import sys
from pathlib import Path

import pytest

from improved_gan import __version__
from tests.command_line import cli


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "improved_gan"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"improved-gan {__version__}\n"
    done = subprocess.run([*command, "train"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[2:] == cli("train").stderr.splitlines()[2:] != []  # usage names the program


def test_version_and_help() -> None:
    assert cli("--version").stdout == f"improved-gan {__version__}\n"
    help_text = cli("--help").stdout
    for command in ("train", "reproduce", "sample", "classify", "demo", "theory"):
        assert command in help_text
        page = cli(command, "--help").stdout
        assert "Example" in page


def test_help_does_not_wait_for_torch() -> None:
    program = "import sys; import improved_gan.cli; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_training_does_not_wait_for_the_compiler() -> None:
    program = "import sys; import improved_gan.cli.training; sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "digit"), "no recipe is called 'digit': did you mean digits?"),
        (("train", "digits", "--labels", "25"), "25 labels cannot be divided evenly among 10 classes"),
        (("train", "mnist", "--data", "/nowhere"), "/nowhere lacks train-images-idx3-ubyte"),
        (("sample", "/nowhere", "--out", "x"), "/nowhere is not a run folder"),
        (("train", "/tmp"), "/tmp is a folder, not a recipe: to train on the images in it, train-folder --images /tmp"),
        (("train", "folder"), "your own images have a command: improved-gan train-folder --images DIR"),
        (("sample", "/no\nwhere", "--out", "x"), "/no where is not a run folder"),
        (("classify", "/nowhere", "x.png", "--out", "x.csv"), "/nowhere is not a run folder"),
    ],
)
def test_an_expected_error_is_one_line_and_exit_code_2(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = cli(*words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"improved-gan: {message}")


def test_an_error_of_the_operating_system_is_one_line_too(tmp_path: Path) -> None:
    run = tmp_path / ("long" * 100)
    done = cli("train", "digits", "--epochs", "1", "--device", "cpu", "--out", run)
    assert done.returncode == 2
    assert done.stderr == f"improved-gan: File name too long: {run}: give another path\n"


@pytest.mark.parametrize("words", [("train",), ("train", "digits", "--epoch"), ("nothing",), ("sample", "run")])
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...]) -> None:
    done = cli(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_list_shows_the_papers_figures() -> None:
    assert "93 ± 6.5" in cli("train", "--list").stdout


def test_a_bad_image_shows_in_the_exit_code(trained_run: Path, tmp_path: Path) -> None:
    cli("sample", trained_run, "--num", "3", "--out", tmp_path / "samples")
    (tmp_path / "samples" / "images" / "bad.png").write_text("no picture")
    done = cli("classify", trained_run, tmp_path / "samples" / "images", "--out", tmp_path / "out.csv")
    assert done.returncode == 1
    assert "bad.png cannot be read" in done.stdout
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4

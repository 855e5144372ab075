import io
import sys

import pytest
from click.testing import CliRunner

from improved_gan import __version__
from improved_gan.cli import app, command_line
from improved_gan.data import DataError
from improved_gan.training.errors import DivergedError, InterruptedRunError, ReportedByOtherRankError, RunError


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataError("no\nimages"), 2, "improved-gan: no images\n"),
        (DivergedError("loss is nan"), 1, "improved-gan: loss is nan\n"),
        (InterruptedRunError("stopped", 15), 143, "improved-gan: stopped\n"),
        (ReportedByOtherRankError(3), 3, ""),
        (
            OSError(28, "No space left on device", "x"),
            1,
            "improved-gan: No space left on device: x: make room ",
        ),
        (_caused(RunError("could not save"), OSError(28, "No space left")), 1, "improved-gan: could not save\n"),
        (_caused(RunError("not a run"), OSError(13, "Permission denied")), 2, "improved-gan: not a run\n"),
        (KeyboardInterrupt(), 130, "\n"),
    ],
)
def test_an_expected_error_is_one_line_and_its_exit_code(
    error: BaseException, code: int, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(app, "invoke", fail)
    monkeypatch.setattr(sys, "argv", ["improved-gan", "demo"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(text)


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(app, "invoke", fail)
    monkeypatch.setattr(sys, "argv", ["improved-gan", "demo"])
    with pytest.raises(ZeroDivisionError):
        command_line.main()


@pytest.mark.parametrize(
    "wrong",
    [
        ["train-folder", "--images", "x", "--num-labels", "-1"],
        ["train-folder", "--images", "x", "--num-workers", "0"],
        ["train-folder", "--images", "x", "--size", "large"],
        ["train-folder"],
        ["train", "digits", "mnist"],
        ["train", "digits", "--labels", "labels.csv"],
        ["train", "digits", "--images", "photos"],
        ["train", "digits", "--generator-updates", "0"],
        ["train", "digits", "--micro-batch", "-1"],
        ["report"],
    ],
)
def test_values_out_of_range_are_usage_errors(wrong: list[str]) -> None:
    assert CliRunner().invoke(app, wrong).exit_code == 2


def test_the_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"improved-gan {__version__}\n"


def test_a_character_that_the_output_cannot_encode_does_not_end_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(sys, "argv", ["improved-gan", "train", "--list"])
    with pytest.raises(SystemExit) as end:
        command_line.main()
    sys.stdout.flush()
    assert end.value.code == 0
    assert rb"93 \xb1 6.5" in written.getvalue()

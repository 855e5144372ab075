from typer.testing import CliRunner

from improved_gan.cli import app


def test_they_are_options_of_train_and_their_ranges_are_checked() -> None:
    text = CliRunner().invoke(app, ["train", "--help"]).stdout
    for option in ("--generator-steps", "--micro-batch", "--no-compile", "--channels-last"):
        assert option in text
    for wrong in (["--generator-steps", "0"], ["--micro-batch", "-1"]):
        assert CliRunner().invoke(app, ["train", "digits", *wrong]).exit_code == 2

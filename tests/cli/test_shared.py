from click.testing import CliRunner

from improved_gan.cli import app


def test_an_option_of_several_commands_is_the_same_in_each() -> None:
    for command in ("sample", "classify", "export", "evaluate", "report", "train", "reproduce"):
        text = " ".join(CliRunner().invoke(app, [command, "--help"]).output.split())
        assert "--trust Execute code that the run names: its recipe file, the module of its network." in text
    assert CliRunner().invoke(app, ["sample", "run", "--out", "x", "--seed", str(2**32)]).exit_code == 2

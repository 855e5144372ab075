import pytest
from typer.testing import CliRunner

from improved_gan.cli import app


@pytest.mark.parametrize(
    "wrong", [["--num-labels", "0"], ["--num-workers", "0"], ["--size", "large"], ["--validation", "some"]]
)
def test_values_out_of_range_are_usage_errors(wrong: list[str]) -> None:
    assert CliRunner().invoke(app, ["train", "folder", *wrong]).exit_code == 2

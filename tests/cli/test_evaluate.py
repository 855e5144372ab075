from pathlib import Path

import click
import pytest

from improved_gan.cli.evaluate import EvaluateOptions


def test_an_unknown_precision_is_wrong_usage() -> None:
    with pytest.raises(click.BadParameter, match="take float32 or bfloat16, not 'half'"):
        EvaluateOptions((Path("x"),), precision="half")


def test_a_plot_compares_and_statistics_are_of_one_source() -> None:
    with pytest.raises(click.BadParameter, match="a plot compares several sources"):
        EvaluateOptions((Path("x"),), plot=Path("p.png"))
    with pytest.raises(click.BadParameter, match="statistics are those of one source"):
        EvaluateOptions((Path("x"), Path("y")), save_statistics=Path("s.npz"))

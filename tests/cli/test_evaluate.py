from pathlib import Path
from typing import Any

import click
import pytest

from improved_gan.cli import evaluate
from improved_gan.cli.evaluate import EvaluateOptions


def test_an_unknown_precision_is_wrong_usage() -> None:
    with pytest.raises(click.BadParameter, match="take float32 or bfloat16, not 'half'"):
        EvaluateOptions((Path("x"),), precision="half")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": (Path("x/a"), Path("y"), Path("x/../x/a"))}, "a source is named twice"),
        ({"plot": Path("p.txt")}, r"a plot is a \.png, \.svg or \.pdf file, not p\.txt"),
        ({"sources": (Path("x"),), "save_statistics": Path("s")}, r"statistics are a \.npz file, not s"),
        ({"replicates": 1}, "an interval needs at least 2"),
    ],
)
def test_what_could_only_fail_at_the_end_is_refused_at_the_start(options: dict[str, Any], message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        EvaluateOptions(**{"sources": (Path("x"), Path("y"))} | options)


def test_a_plot_without_matplotlib_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "find_spec", lambda name: None)
    with pytest.raises(click.BadParameter, match=r"pip install 'improved-gan\[plots\]'"):
        EvaluateOptions((Path("x"), Path("y")), plot=Path("p.png"))


def test_a_plot_compares_and_statistics_are_of_one_source() -> None:
    with pytest.raises(click.BadParameter, match="a plot compares several sources"):
        EvaluateOptions((Path("x"),), plot=Path("p.png"))
    with pytest.raises(click.BadParameter, match="statistics are those of one source"):
        EvaluateOptions((Path("x"), Path("y")), save_statistics=Path("s.npz"))

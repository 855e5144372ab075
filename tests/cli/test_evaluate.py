from pathlib import Path

import click
import pytest

from improved_gan.cli.evaluate import EvaluateOptions


def test_an_unknown_precision_is_wrong_usage() -> None:
    with pytest.raises(click.BadParameter, match="take float32 or bfloat16, not 'half'"):
        EvaluateOptions(Path("x"), precision="half")

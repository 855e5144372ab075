from pathlib import Path

import pytest
import typer

from improved_gan.commands import classify
from improved_gan.commands.classify import ClassifyOptions
from improved_gan.commands.classify_options import classify as command
from improved_gan.data import DataError


def test_every_option_reaches_the_command_and_bad_images_show_in_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(classify, "run_classification", lambda options, console: called.append(options) or 3)
    given = {
        "run": Path("run"), "images": [Path("a")], "out": Path("o.csv"), "resize": True, "invert": True, "annotate": 5,
        "diversity": True, "labels": Path("l.csv"), "json": Path("j.json"), "value_range": "0:4095", "num_workers": 2,
        "trust": True, "device": "cpu",
    }  # fmt: skip
    with pytest.raises(typer.Exit) as ended:
        command(**given)  # type: ignore[arg-type]
    assert ended.value.exit_code == 1
    assert called == [ClassifyOptions(**given)]  # type: ignore[arg-type]


def test_options_of_the_page_without_a_page() -> None:
    with pytest.raises(typer.BadParameter, match="needs --annotate"):
        command(Path("run"), [Path("a")], Path("o.csv"), diversity=True)
    with pytest.raises(typer.BadParameter, match="give --out CSV"):
        command(Path("run"), [Path("a")], annotate=5)
    with pytest.raises(DataError, match="only `train folder` takes them"):
        command(Path("run"), [Path("a")], value_range="1%:99%")

from pathlib import Path

import pytest
import typer

from improved_gan.commands import classify
from improved_gan.commands.classify_options import classify as command
from improved_gan.commands.review import ReviewOptions
from improved_gan.data import DataError
from improved_gan.data.value_range import ValueRange


def test_every_option_reaches_the_command_and_bad_images_show_in_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = {}
    monkeypatch.setattr(classify, "run_classification", lambda *words, **more: heard.update(more, words=words) or 3)
    with pytest.raises(typer.Exit) as ended:
        command(
            Path("run"),
            [Path("a")],
            Path("o.csv"),
            True,
            True,
            5,
            True,
            Path("l.csv"),
            Path("j.json"),
            "0:4095",
            2,
            True,
            "cpu",
        )
    assert ended.value.exit_code == 1
    heard.pop("console")
    assert heard == {
        "words": (Path("run"), [Path("a")]), "out": Path("o.csv"), "fit": True, "invert": True, "device": "cpu",
        "values": ValueRange(0, 4095), "labels": Path("l.csv"), "json_file": Path("j.json"), "workers": 2,
        "trust": True,
        "review": ReviewOptions(5, diverse=True, labels=Path("l.csv")),
    }  # fmt: skip


def test_options_of_the_page_without_a_page() -> None:
    with pytest.raises(typer.BadParameter, match="belongs to --annotate"):
        command(Path("run"), [Path("a")], Path("o.csv"), diverse=True)
    with pytest.raises(typer.BadParameter, match="give --out CSV"):
        command(Path("run"), [Path("a")], review=5)
    with pytest.raises(DataError, match="only `train folder` takes them"):
        command(Path("run"), [Path("a")], value_range="1%:99%")

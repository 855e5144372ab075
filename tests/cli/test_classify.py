from pathlib import Path

import click
import pytest

from improved_gan.cli import classification
from improved_gan.cli.classify import ClassifyOptions, classify


def test_bad_images_show_in_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "run_classification", lambda options, console: 3 * options.invert)
    given = ClassifyOptions(Path("run"), (Path("a"),))
    assert classify(given, None) == 0  # type: ignore[arg-type]
    assert classify(ClassifyOptions(Path("run"), (Path("a"),), invert=True), None) == 1  # type: ignore[arg-type]


def test_options_of_the_page_without_a_page() -> None:
    with pytest.raises(click.BadParameter, match="needs --annotate"):
        ClassifyOptions(Path("run"), (Path("a"),), Path("o.csv"), diversity=True)
    with pytest.raises(click.BadParameter, match="give --out CSV"):
        ClassifyOptions(Path("run"), (Path("a"),), annotate=5)

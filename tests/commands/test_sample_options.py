from pathlib import Path

import pytest
from typer.testing import CliRunner

from improved_gan.cli import app
from improved_gan.commands import sample


def test_every_option_reaches_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Path, dict]] = []
    monkeypatch.setattr(sample, "run_sampling", lambda run, **words: seen.append((run, words)))
    words = [
        "--num",
        "3",
        "--seed",
        "4",
        "--interpolation",
        "--path",
        "spherical",
        "--training-gif",
        "--nearest-real",
        "--data",
        "d",
    ]
    done = CliRunner().invoke(app, ["sample", "run", "--out", "o", *words, "--device", "cpu", "--trust"])
    assert done.exit_code == 0, done.output
    ((run, found),) = seen
    found.pop("console")
    assert run == Path("run")
    galleries = sample.Galleries(
        interpolation=True, training_gif=True, nearest_real=True, path="spherical", data=Path("d")
    )
    assert found == {
        "num": 3, "out": Path("o"), "seed": 4, "device": "cpu", "galleries": galleries, "trust": True
    }  # fmt: skip


def test_without_options_a_hundred_images_are_left_to_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict] = []
    monkeypatch.setattr(sample, "run_sampling", lambda run, **words: seen.append(words))
    assert CliRunner().invoke(app, ["sample", "run", "--out", "o"]).exit_code == 0
    assert seen[0]["num"] is None
    assert not seen[0]["galleries"].wanted

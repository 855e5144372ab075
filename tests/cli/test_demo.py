from pathlib import Path

import pytest
from rich.console import Console

from improved_gan.cli.demo import DemoOptions, demo
from improved_gan.reproduction import demo as demo_module


def test_the_options_reach_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Path, dict[str, object]]] = []
    monkeypatch.setattr(demo_module, "run_demo", lambda out, **words: seen.append((out, words)))
    console = Console()
    demo(DemoOptions(Path("x"), num_splits=2, epochs=7), console)
    assert seen == [(Path("x"), {"splits": 2, "epochs": 7, "console": console})]

"""What every test starts from: few threads, a fixed seed, no user settings; and one small trained run."""

import io
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the digits, 20 epochs long."""
    from rich.console import Console

    from improved_gan.commands.train import TrainOptions, run_training

    out = tmp_path_factory.mktemp("trained") / "run"
    return run_training(TrainOptions("digits", epochs=20, out=out, threads=1), Console(file=io.StringIO()))

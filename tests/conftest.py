"""What every test starts from: few threads, a fixed seed, no user settings; a small trained run, and two ranks."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.ranks import TwoRanks

settings.register_profile("house", deadline=None)  # the first call of an operator, or a busy machine, is no failure
settings.load_profile("house")


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
    return run_training(
        TrainOptions("digits", epochs=20, out=out, threads=1, device="cpu"), Console(file=io.StringIO())
    )


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRanks]:
    ranks = TwoRanks(tmp_path_factory.mktemp("ranks"))
    yield ranks
    ranks.close()

"""What every test starts from: few threads, a fixed seed, no user settings; a small trained run, and two ranks."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.ranks import TwoRanks

settings.register_profile("house", deadline=None)  # the first call of an operator, or a busy machine, is no failure
settings.load_profile("house")
os.environ |= {"NO_COLOR": "1", "COLUMNS": "120"}

SHARED = ("two_ranks", "trained_run", "small_runs", "browser")  # fixtures that a process makes only once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come first, then those of one costly fixture together.

    Of several processes (`pytest -n`) none then sits over a long test at the end, and few make the same fixture.
    """

    def place(item: pytest.Item) -> tuple[bool, int]:
        names = getattr(item, "fixturenames", ())
        return item.get_closest_marker("slow") is None, next((SHARED.index(n) for n in SHARED if n in names), 99)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the digits, 20 epochs long."""
    from rich.console import Console

    from improved_gan.cli.training import TrainOptions, run_training

    out = tmp_path_factory.mktemp("trained") / "run"
    return run_training(
        TrainOptions("digits", epochs=20, out=out, threads=1, device="cpu"), Console(file=io.StringIO())
    )


_SMALL_RECIPE = """
from dataclasses import replace
from functools import partial

from improved_gan.networks import DenseDiscriminator, DenseGenerator
from improved_gan.recipes import digits
from improved_gan.training import {objective}


def recipe(labels=None):
    return replace(
        digits(labels),
        name="{name}",
        generator=partial(DenseGenerator, image_shape=(1, 8, 8), latent_size=10, hidden=(32,)),
        discriminator=partial(DenseDiscriminator, image_shape=(1, 8, 8), num_classes=10, hidden=(64, 32)),
        objective={objective}(),
        report_every=1,
        sample_every=1,
    )
"""


@pytest.fixture(scope="session")
def small_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small networks on the digits, four epochs each: two seeds, and one without labels (read, do not write)."""
    from rich.console import Console

    from improved_gan.cli.training import TrainOptions, run_training

    folder, runs = tmp_path_factory.mktemp("small"), {}
    for name, objective, seed in (
        ("first", "SemiSupervised", 1),
        ("second", "SemiSupervised", 2),
        ("pictures", "Adversarial", 1),
    ):
        file = folder / f"{objective}.py"
        file.write_text(_SMALL_RECIPE.format(objective=objective, name=f"small-{objective}"))
        options = TrainOptions(str(file), seed=seed, epochs=4, out=folder / name, threads=1, device="cpu")
        runs[name] = run_training(options, Console(file=io.StringIO()))
    return runs


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRanks]:
    ranks = TwoRanks(tmp_path_factory.mktemp("ranks"))
    yield ranks
    ranks.close()

"""What every test starts from: few threads, a fixed seed, no user settings; a small trained run, and two ranks."""

import gc
import importlib
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before NumPy and torch: several processes of several threads each wait for one another, at a third more of computing.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from filelock import FileLock
from hypothesis import settings

from tests.browser import Browser
from tests.quick_python import QuickPython
from tests.ranks import TwoRanks

gc.disable()  # until all tests are collected: see below
settings.register_profile("house", deadline=None)  # the first call of an operator, or a busy machine, is no failure
settings.load_profile("house")
os.environ |= {"NO_COLOR": "1", "COLUMNS": "120"}

SHARED = ("two_ranks", "trained_run", "small_runs")  # fixtures that a process makes only once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come first, then those of one costly fixture together.

    Of several processes (`pytest -n`) none then sits over a long test at the end, and few make the same fixture.
    """

    def place(item: pytest.Item) -> tuple[bool, int]:
        names = getattr(item, "fixturenames", ())
        return item.get_closest_marker("slow") is None, next((SHARED.index(n) for n in SHARED if n in names), 99)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What collection has imported, a million objects, stays to the end: the garbage collector need not visit it.

    What tests import and build is looked at after every 10,000 objects, not after every 700.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    if torch.accelerator.is_available():
        torch.manual_seed(0)
    else:  # of every device that is not there, torch.manual_seed would keep who seeded it: a stack of text
        torch.default_generator.manual_seed(0)
    torch.set_num_threads(1)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder for all processes of one call of pytest: `make` fills it in the first that asks."""
    root = factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name
    with FileLock(folder.with_suffix(".lock")):
        if not (made := folder.with_suffix(".made")).exists():
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the digits, 20 epochs long (read, do not write)."""
    from rich.console import Console

    from improved_gan.cli.shared import TrainingOptions
    from improved_gan.cli.training import run_training

    def make(folder: Path) -> None:
        options = TrainingOptions(epochs=20, out=folder / "run", threads=1, device="cpu")
        run_training("digits", options, Console(file=io.StringIO()))

    return once(tmp_path_factory, "trained", make) / "run"


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

    from improved_gan.cli.shared import TrainingOptions
    from improved_gan.cli.training import run_training

    runs = {"first": ("SemiSupervised", 1), "second": ("SemiSupervised", 2), "pictures": ("Adversarial", 1)}

    def make(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for name, (objective, seed) in runs.items():
            file = folder / f"{objective}.py"
            file.write_text(_SMALL_RECIPE.format(objective=objective, name=f"small-{objective}"))
            options = TrainingOptions(seed=seed, epochs=4, out=folder / name, threads=1, device="cpu")
            run_training(str(file), options, Console(file=io.StringIO()))

    folder = once(tmp_path_factory, "small", make)
    return {name: folder / name for name in runs}


@pytest.fixture
def narrow_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe `folder` with networks of a few channels, which train at once."""
    module = importlib.import_module("improved_gan.recipes.folder")  # the package has a function of this name
    monkeypatch.setattr(module, "_WIDTHS", {size: (4,) * len(wide) for size, wide in module._WIDTHS.items()})


@pytest.fixture(scope="session")
def quick_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A program in place of the Python interpreter that need not import torch: see tests/quick_python.py."""
    python = QuickPython(tmp_path_factory.mktemp("quick"))
    yield python.path
    python.close()


@pytest.fixture
def quick_trainings(quick_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainings that our commands start in processes of their own begin at once."""
    monkeypatch.setattr(sys, "executable", str(quick_python))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium (Debian's package) is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=flags)
        yield Browser(opened)
        opened.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    yield chromium
    chromium.clean()


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRanks]:
    ranks = TwoRanks(tmp_path_factory.mktemp("ranks"))
    yield ranks
    ranks.close()


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home directory who names no folder for a cache."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    for name in ("IMPROVED_GAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def onnx_threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of threads of each session that ONNX Runtime starts."""
    onnxruntime = pytest.importorskip("onnxruntime")
    start, seen = onnxruntime.InferenceSession, []

    def started(network: object, options: Any, **more: Any) -> Any:
        seen.append(options.intra_op_num_threads)
        return start(network, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", started)
    return seen

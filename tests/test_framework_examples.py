"""The examples of other people's training loops and networks run, and show what their technique changes."""

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ranks import TwoRanks

EXAMPLES = Path(__file__).parent.parent / "examples"
FRAMEWORKS = {
    "lightning_gan": "lightning",
    "lightning_metrics": "lightning",
    "accelerate_gan": "accelerate",
    "ignite_gan": "ignite",
    "metrics_in_loops": "ignite",
}
NETWORKS = ["hifi_gan", "patch_gan_vae", "style_gan_block"]
pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.syspath_prepend(EXAMPLES)

    def run(name: str, *arguments: str) -> Any:
        pytest.importorskip(FRAMEWORKS.get(name, "torch"))
        return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](list(arguments))

    return run


@pytest.mark.parametrize("name", [*FRAMEWORKS, *NETWORKS])
def test_an_example_is_short(name: str) -> None:
    assert sum(bool(line.strip()) for line in (EXAMPLES / f"{name}.py").read_text().splitlines()) <= 80


def test_lightning_in_one_process(main: Callable[..., Any]) -> None:
    assert 0 < main("lightning_gan", "--steps", "2") < 1e3


@pytest.mark.slow
def test_lightning_in_two_processes(quick_python: Path) -> None:
    pytest.importorskip("lightning")
    command = [quick_python, EXAMPLES / "lightning_gan.py", "--devices", "2", "--steps", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "after 2 steps of 2 processes" in done.stdout


def _measured_on_a_rank(loop: str) -> Any:
    path = [str(EXAMPLES), *sys.path]
    sys.path, kept = path, sys.path
    try:
        main = runpy.run_path(str(EXAMPLES / "metrics_in_loops.py"))["main"]
        return main(["--loop", loop, "--epochs", "1"])
    finally:
        sys.path = kept


@pytest.mark.parametrize("loop", ["plain", "ignite"])
def test_two_processes_measure_what_one_measures(loop: str, main: Callable[..., Any], two_ranks: TwoRanks) -> None:
    (before, _) = main("metrics_in_loops", "--loop", loop, "--epochs", "1")
    first, second = two_ranks(_measured_on_a_rank, loop)
    assert first == second  # both have the total
    assert first[0]["fd"] == pytest.approx(before["fd"], rel=1e-6)
    assert first[0]["density"] == pytest.approx(before["density"], rel=1e-6)
    assert first[1]["fd"] < 0.95 * first[0]["fd"]  # training changes the generator that is measured


def test_lightning_logs_the_metrics_of_the_same_images(main: Callable[..., Any]) -> None:
    found = main("lightning_metrics", "--epochs", "1")
    assert list(found) == ["fd", "cmmd", "density", "coverage"]
    assert 0 < found["fd"] < 10
    assert found["cmmd"] > 0


@pytest.mark.slow
def test_lightning_measures_in_two_processes(main: Callable[..., Any], quick_python: Path) -> None:
    pytest.importorskip("lightning")
    command = [quick_python, EXAMPLES / "lightning_metrics.py", "--devices", "2", "--epochs", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    one = main("lightning_metrics", "--epochs", "0")
    assert f"fd {one['fd']:.3f}  cmmd {one['cmmd']:.3f}" in done.stdout
    assert "of 2 processes" in done.stdout


def test_accelerate_measures_the_averaged_weights(main: Callable[..., Any]) -> None:
    last, averaged = main("accelerate_gan", "--steps", "8")
    assert last != averaged
    assert min(last, averaged) > 0


def test_in_ignite_the_penalty_bounds_the_slope(main: Callable[..., Any]) -> None:
    assert main("ignite_gan", "--steps", "60")[0] < main("ignite_gan", "--steps", "60", "--gamma", "0")[0]


@pytest.mark.parametrize("plain", [[], ["--plain"]])
def test_the_sets_of_discriminators_run(plain: list[str], main: Callable[..., Any]) -> None:
    assert 0 < main("hifi_gan", "--steps", "3", *plain) < 100
    share, error = main("patch_gan_vae", "--steps", "3", *plain)
    assert 0 < share < 2
    assert 0 < error < 1


def test_minibatch_standard_deviation_tells_a_collapsed_batch(main: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    without, with_layer = main("style_gan_block", "--steps", "80", "--out", str(tmp_path / "curves.png"))
    assert with_layer > without + 0.1
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")

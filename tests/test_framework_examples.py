"""The examples of other people's training loops and networks run, and show what their technique changes."""

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
FRAMEWORKS = {"lightning_gan": "lightning", "accelerate_gan": "accelerate", "ignite_gan": "ignite"}
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
def test_lightning_in_two_processes(main: Callable[..., Any]) -> None:
    pytest.importorskip("lightning")
    command = [sys.executable, EXAMPLES / "lightning_gan.py", "--devices", "2", "--steps", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "after 2 steps of 2 processes" in done.stdout


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

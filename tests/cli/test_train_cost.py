import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from improved_gan.cli.train_cost import device_name, print_step_cost
from improved_gan.cli.training import TrainOptions, run_training


def test_a_fake_clock_gives_the_hours() -> None:
    screen, now, made = io.StringIO(), [0.0], []

    def step() -> None:
        now[0] += 2.0 if made else 30.0  # the first one is slow
        made.append(1)

    print_step_cost(step, 10_000, torch.device("cpu"), Console(file=screen, width=200), clock=lambda: now[0])
    assert screen.getvalue() == "about 5.6 hours on this processor (2.0 s a step)\n"
    assert len(made) == 6  # one that is not counted, five that are


def test_a_short_run_ends_before_it_is_measured() -> None:
    screen, now = io.StringIO(), [0.0]

    def step() -> None:
        now[0] += 0.25

    print_step_cost(step, 4, torch.device("cpu"), Console(file=screen, width=200), clock=lambda: now[0])
    assert screen.getvalue() == "about 1 second on this processor (250 ms a step)\n"


@pytest.mark.parametrize("models", [1, 2])
def test_a_dry_run_tells_the_cost_and_writes_nothing(models: int, tmp_path: Path) -> None:
    screen = io.StringIO()
    options = TrainOptions("digits", epochs=50, out=tmp_path / "run", threads=1, device="cpu", dry_run=True)
    options = TrainOptions(**{**vars(options), "models": models})
    run_training(options, Console(file=screen, width=200))
    assert "on this processor" in screen.getvalue()
    assert "ms a step)" in screen.getvalue()
    assert not list(tmp_path.iterdir())


def test_device_names() -> None:
    assert device_name(torch.device("cuda", 1)) == "this GPU"
    assert device_name(torch.device("cpu")) == "this processor"

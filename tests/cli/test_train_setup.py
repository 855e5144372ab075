import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.train_setup import (
    build_experiment,
    copy_recipe_file,
    device_name,
    print_header,
    print_step_cost,
    print_summary,
)
from improved_gan.cli.training import run_training
from improved_gan.recipes import digits
from improved_gan.runs import Run
from improved_gan.training.process_group import ProcessGroup
from tests.runs.made import settings_of


def console() -> tuple[io.StringIO, Console]:
    screen = io.StringIO()
    return screen, Console(file=screen, width=200)


def test_a_recipe_file_that_changed_is_kept_anew_with_a_warning(tmp_path: Path) -> None:
    screen, shown = console()
    file, folder = tmp_path / "mine.py", Run(tmp_path / "run")
    folder.begin(settings_of())
    for text, warnings in (("a", 0), ("a", 0), ("b", 1)):
        file.write_text(text)
        copy_recipe_file(file, folder, shown)
        assert folder.code_file.read_text() == text
        assert folder.code_sha256 == hashlib.sha256(text.encode()).hexdigest()
        assert screen.getvalue().count("has changed since the run began") == warnings


@pytest.mark.parametrize(("split_seed", "expected"), [(None, 7), (3, 3)])
def test_the_split_has_the_seed_of_the_training_unless_told(
    tmp_path: Path, split_seed: int | None, expected: int
) -> None:
    options = TrainingOptions(seed=7, split_seed=split_seed, device="cpu")
    experiment = build_experiment(digits(20), options, tmp_path / "run", ProcessGroup())
    assert (experiment.seed, experiment.split.seed, len(experiment.split.indices)) == (7, expected, 20)


def test_rank_0_chooses_the_precision_of_all_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that would choose bfloat16, in a group whose rank 0 chose float32, and the reverse."""
    recipe, options = replace(digits(20), precision="auto"), TrainingOptions(seed=7, device="cpu")
    for own, of_rank0 in (("bfloat16", "float32"), ("float32", "bfloat16")):
        monkeypatch.setattr("improved_gan.cli.train_setup.fastest_precision", lambda device, own=own: own)
        processes = ProcessGroup()
        monkeypatch.setattr(processes, "broadcast_from_rank0", lambda value, sent=of_rank0: sent)
        assert build_experiment(recipe, options, tmp_path / "run", processes).recipe.precision == of_rank0


@pytest.mark.parametrize(("labels", "known"), [(50, True), (20, False)])
def test_what_to_expect_is_said_or_that_it_is_not_known(labels: int, known: bool, tmp_path: Path) -> None:
    screen, shown = console()
    options = TrainingOptions(device="cpu")
    print_header(build_experiment(digits(labels), options, tmp_path, ProcessGroup()), tmp_path, shown)
    assert ("expected at 10% (epoch 20)" in screen.getvalue()) == known
    assert ("expected results unknown" in screen.getvalue()) != known


def test_the_end_is_told_by_the_last_report(tmp_path: Path) -> None:
    screen, shown = console()
    folder = Run(tmp_path)
    print_summary(folder, shown, "done")
    folder.append_report({"epoch": 3, "epochs": 4, "step": 9, "test/error": 0.25, "test/num_errors": 5})
    print_summary(folder, shown, "done")
    assert "done: no report" in screen.getvalue()
    assert "done: epoch 3/4  test error 25.00% (5 wrong)" in screen.getvalue()


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
    options = TrainingOptions(epochs=50, out=tmp_path / "run", threads=1, device="cpu", dry_run=True)
    run_training("digits", options, Console(file=screen, width=200), num_models=models)
    assert "on this processor" in screen.getvalue()
    assert "ms a step)" in screen.getvalue()
    assert not list(tmp_path.iterdir())


def test_device_names() -> None:
    assert device_name(torch.device("cuda", 1)) == "this GPU"
    assert device_name(torch.device("cpu")) == "this processor"

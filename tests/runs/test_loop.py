"""The whole loop, on the digits: reports, samples, diagnostics, a clean stop, and resuming bit for bit."""

import io
import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from improved_gan.networks import Generator
from improved_gan.recipes import digits
from improved_gan.runs import Run
from improved_gan.runs.build import Experiment
from improved_gan.runs.loop import Recorder, train
from improved_gan.training import Adversarial
from improved_gan.training.errors import DivergedError, InterruptedRunError, RunError
from improved_gan.training.reporting import Reporter
from improved_gan.training.signals import StopRequest
from tests.command_line import Started, start

EPOCHS = 6
Score = Callable[[Generator], dict[str, float]]


class StopAfter(StopRequest):
    """Requests a stop after a number of steps."""

    def __init__(self, steps: int | None) -> None:
        self.remaining, self.signal_number = steps, signal.SIGTERM

    def __bool__(self) -> bool:
        if self.remaining is None:
            return False
        self.remaining -= 1
        return self.remaining <= 0


def run(
    path: Path, *, stop_after: int | None = None, score: Score | None = None, eval_every: int = 0, **changes: object
) -> dict[str, torch.Tensor]:
    """Train the digits in `path` from its last checkpoint; returns the final state."""
    settings = {"epochs": EPOCHS, "lr_decay_fraction": 0.5, "report_every": 2, "sample_every": 3, **changes}
    recipe = replace(digits(), **settings)
    experiment = Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu")
    folder = Run(path)
    folder.begin(experiment.settings())
    state = experiment.start()
    tensors = folder.load_checkpoint(warn=pytest.fail)
    if tensors is not None:
        state.load(tensors)
    folder.rewind_log(state.step)
    with Reporter(
        path / "tensorboard", total_steps=72, first_step=state.step, console=Console(file=io.StringIO())
    ) as r:
        recorder = Recorder(
            state, recipe, folder, experiment.evaluate, r, score, save_every=1e9, score_every=eval_every
        )
        train(recorder, experiment.batches(state), recipe.objective, stop=StopAfter(stop_after))
    return state.tensors()


def without_time(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in tensors.items() if name != "progress.seconds"}


def log_without_time(path: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("whole") / "run"
    return path, without_time(run(path))


def test_files_of_the_run_folder(uninterrupted: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, _ = uninterrupted
    log = log_without_time(path)
    assert [line["epoch"] for line in log] == [2, 4, 6]
    assert [line["step"] for line in log] == [24, 48, 72]
    assert {"discriminator/supervised", "generator/feature_matching", "test/error", "diagnostics"} <= set(log[0])
    assert sorted(file.name for file in (path / "samples").iterdir()) == ["epoch-0003.png", "epoch-0006.png"]
    assert [file.name for file in (path / "checkpoints").iterdir()] == ["step-00000072.safetensors"]
    assert any((path / "tensorboard").iterdir())


@pytest.mark.parametrize("stop_after", [1, 12, 24, 29, 72])
def test_a_resumed_run_is_bit_for_bit_the_same(
    tmp_path: Path, uninterrupted: tuple[Path, dict[str, torch.Tensor]], stop_after: int
) -> None:
    with pytest.raises(InterruptedRunError, match=f"stopped at step {stop_after} .*run the same command") as stopped:
        run(tmp_path / "run", stop_after=stop_after)
    assert stopped.value.signal_number == signal.SIGTERM
    torch.rand(1234)  # the random state of the new process must not matter
    assert_same(without_time(run(tmp_path / "run")), uninterrupted[1])
    assert log_without_time(tmp_path / "run") == log_without_time(uninterrupted[0])
    for name in ("epoch-0003.png", "epoch-0006.png"):
        assert (tmp_path / "run" / "samples" / name).read_bytes() == (uninterrupted[0] / "samples" / name).read_bytes()


def test_the_last_report_has_the_errors_of_averaged_and_of_current_weights(
    uninterrupted: tuple[Path, dict[str, torch.Tensor]],
) -> None:
    folder, tensors = uninterrupted
    experiment = Experiment.prepare(digits(), seed=1, split_seed=1, data_folder=None, device="cpu")
    state = experiment.start()
    state.load({**tensors, "progress.seconds": torch.zeros(())})
    current = experiment.evaluate(state.discriminator)["test/num_errors"]
    averaged = experiment.evaluate(state.average.averaged(state.discriminator))["test/num_errors"]
    last = Run(str(folder)).log.lines[-1]
    assert (last["test/num_errors"], last["test/num_errors_without_average"]) == (averaged, current)
    assert averaged != current  # else the test could not tell them apart


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    passes = []

    def exploding_later(real: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
        passes.append(1)
        return (real.mean(0) - generated.mean(0)).square().mean() * (float("inf") if len(passes) > 20 else 1.0)

    objective = replace(digits().objective, generator_loss=exploding_later)
    with pytest.raises(InterruptedRunError):
        run(tmp_path, objective=objective, stop_after=14)
    kept = [(path.name, path.read_bytes()) for path in (tmp_path / "checkpoints").iterdir()]
    with pytest.raises(DivergedError, match=r"not finite at step 24.*step-00000014\.safetensors, is kept"):
        run(tmp_path, objective=objective)
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "checkpoints").iterdir()] == kept


def spawn(out: Path, *, epochs: int) -> Started:
    words = ["--epochs", str(epochs), "--threads", "1", "--device", "cpu", "--save-every", "0.1", "--out", out]
    return start("train", "digits", *words)


def checkpoints(folder: Path) -> set[Path]:
    return set(folder.glob("killed/checkpoints/*.safetensors"))


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_killed_at_random_moments_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    assert spawn(tmp_path / "whole", epochs=24).wait() == 0
    moments, kills = random.Random(5), 0
    while True:
        process = spawn(tmp_path / "killed", epochs=24)
        # A kill at any moment of the start (imports, first writes), then some during the steps.
        if kills < 1:
            time.sleep(moments.uniform(0.1, 1.0))
        elif kills < 4:
            before = checkpoints(tmp_path)
            while process.poll() is None and checkpoints(tmp_path) == before:
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, 0.2))
        else:
            process.wait()
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert process.returncode == 0
    assert kills >= 3
    final = []
    for name in ("whole", "killed"):
        tensors = Run(tmp_path / name).load_checkpoint(warn=pytest.fail)
        assert tensors is not None
        final.append(without_time(tensors))
    assert_same(*final)
    assert log_without_time(tmp_path / "whole") == log_without_time(tmp_path / "killed")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_say_how_to_resume(tmp_path: Path, number: int, code: int) -> None:
    process = spawn(tmp_path / "run", epochs=400)
    while process.poll() is None and not any(tmp_path.glob("run/checkpoints/*.safetensors")):
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == code
    message = errors.strip().splitlines()[-1]
    assert message.startswith("improved-gan: stopped at step")
    assert message.endswith("run the same command to continue")


def test_samples_are_scored_at_their_epochs_and_at_the_end_without_changing_the_run(
    tmp_path: Path, uninterrupted: tuple[Path, dict[str, torch.Tensor]]
) -> None:
    seen: list[bool] = []

    def score(generator: Generator) -> dict[str, float]:
        seen.append(generator.training)
        return {"samples/inception_score": 2.5}

    assert_same(without_time(run(tmp_path, score=score, eval_every=4)), without_time(uninterrupted[1]))
    scored = [line["epoch"] for line in log_without_time(tmp_path) if "samples/inception_score" in line]
    assert scored == [4, EPOCHS]
    assert len(seen) == 2


def test_a_run_interrupted_while_samples_are_scored_resumes_there(
    tmp_path: Path, uninterrupted: tuple[Path, dict[str, torch.Tensor]]
) -> None:
    for epochs in (4, EPOCHS):  # in the middle, and at the end

        def killed(_: Generator) -> dict[str, float]:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, score=killed, eval_every=4)
        newest = max(file.name for file in (tmp_path / "checkpoints").iterdir())
        assert newest == f"step-{12 * epochs:08d}.safetensors"
        if epochs == 4:
            with pytest.raises(InterruptedRunError):
                run(tmp_path, score=lambda _: {"samples/inception_score": 2.5}, eval_every=4, stop_after=1)
    assert_same(without_time(run(tmp_path)), without_time(uninterrupted[1]))
    log = log_without_time(tmp_path)
    assert [line["step"] for line in log] == [24, 48, 72]
    assert log[1].pop("samples/inception_score") == 2.5
    assert log == log_without_time(uninterrupted[0])


def test_a_run_is_not_resumed_with_another_technique_set(tmp_path: Path) -> None:
    run(tmp_path, epochs=1)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    for changes in ({"objective": Adversarial()}, {"historical_averaging_weight": 0.1}, {"generator_ema_decay": 0.9}):
        with pytest.raises(RunError, match=next(iter(changes))):
            run(tmp_path, epochs=1, **changes)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()} == before

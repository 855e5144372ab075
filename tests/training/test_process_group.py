"""A run in two processes: the golden log of one, all ways to end, and resuming with another number of processes."""

import io
import os
import signal
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from improved_gan import distributed
from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import train_recipe
from improved_gan.networks import ConvolutionalDiscriminator, ConvolutionalGenerator
from improved_gan.recipes import digits
from improved_gan.runs import Run
from improved_gan.runs.build import Experiment
from improved_gan.techniques import MinibatchDiscrimination
from improved_gan.training import Adversarial
from improved_gan.training.errors import RankLostError
from improved_gan.training.process_group import ProcessGroup, init_process_group, local_device
from improved_gan.training.state import seed_rank
from tests.command_line import Started, cli, end_as_torchrun_does, ranks, start
from tests.golden.recipes import golden_recipe
from tests.golden.test_steps import differences, golden_log, run
from tests.ranks import TwoRanks


def test_two_ranks_reproduce_the_golden_log_of_one_process(two_ranks: TwoRanks, tmp_path: Path) -> None:
    """Batches, latents, initialization from data, batch norm, feature means, both losses, averaging and evaluation."""
    kept = golden_log("golden")
    logs = two_ranks(run, golden_recipe(), tmp_path / "run")
    for log in logs:  # rank 0 wrote it, both read it
        found = differences(log, kept)
        assert not found, "\n".join(found[:10])
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1


@pytest.mark.parametrize("simultaneous", [False, True])
def test_two_ranks_train_convolutions_with_minibatch_features_as_one_process(
    two_ranks: TwoRanks, tmp_path: Path, simultaneous: bool
) -> None:
    recipe = replace(
        golden_recipe(),
        # Not the gray initial images: if images are nearly equal, rounding decides the sign of a distance's gradient.
        generator=partial(ConvolutionalGenerator, image_shape=(1, 8, 8), latent_size=5, widths=(6,), output_std=1.0),
        discriminator=partial(
            ConvolutionalDiscriminator,
            image_shape=(1, 8, 8),
            num_classes=10,
            widths=(6,),
            input_dropout=0.0,
            hidden_dropout=0.0,
            minibatch=partial(MinibatchDiscrimination, num_kernels=5, kernel_dim=3, variant="released"),
        ),
        objective=Adversarial(supervised_weight=1.0, simultaneous=simultaneous),
        epochs=3,
    )
    one = [losses(line) for line in run(recipe, tmp_path / "one")]
    assert len(one) == 3
    for log in two_ranks(run, recipe, tmp_path / "two"):
        for ours, theirs in zip(log, one, strict=True):
            assert losses(ours) == pytest.approx(theirs, rel=1e-3)  # processors round otherwise: 1.1e-4 was seen


def losses(line: dict[str, Any]) -> dict[str, float]:
    """The data and settings."""
    names = ("discriminator/supervised", "discriminator/adversarial", "generator/adversarial")
    return {name: line[name] for name in names}


def trained(folder: Path, epochs: int) -> tuple[str, dict[str, torch.Tensor]]:
    """Train the digits with noise; the console's text, and this rank's final state without its duration."""
    from tests.runs.test_loop import without_time

    screen = io.StringIO()
    console = Console(file=screen, width=200, quiet=distributed.rank() > 0)
    recipe = replace(digits(), epochs=epochs, lr_decay_fraction=0.0, ema_decay=0.9, report_every=1, sample_every=2)
    states: list[Any] = []
    original = Experiment.start

    def start(self: Experiment, **options: Any) -> Any:
        states.append(original(self, **options))
        return states[-1]

    Experiment.start = start  # type: ignore[method-assign]
    try:
        train_recipe(recipe, TrainingOptions(out=folder, device="cpu", threads=1), console)
    finally:
        Experiment.start = original  # type: ignore[method-assign]
    return screen.getvalue(), without_time(states[0].tensors())


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_checkpoints_resume_with_another_number_of_processes(two_ranks: TwoRanks, tmp_path: Path) -> None:
    (_, whole), (silent, other) = two_ranks(trained, tmp_path / "whole", 2)
    assert silent == ""
    assert same(whole, other)
    assert not torch.equal(whole["random.cpu"], whole["random.cpu.1"])
    two_ranks(trained, tmp_path / "run", 1)
    (text, continued), _ = two_ranks(trained, tmp_path / "run", 2)
    assert "continuing at step 12" in text
    assert same(continued, whole)  # bit for bit with as many processes
    text, alone = trained(tmp_path / "run", 3)
    assert "continuing at step 24" in text
    assert "random.cpu.1" not in alone
    (text, again), _ = two_ranks(trained, tmp_path / "run", 4)
    assert "continuing at step 36" in text
    assert not torch.equal(again["random.cpu"], again["random.cpu.1"])
    assert [line["epoch"] for line in Run(tmp_path / "run").log.lines] == [1, 2, 3, 4]


def waited_for(seconds: float) -> tuple[dict[str, float] | None, bool]:
    """The result of work on rank 0 that takes longer than the time limit of a collective operation."""
    processes = ProcessGroup()
    nothing = processes.on_rank0(None)

    def work(value: str) -> dict[str, float]:
        assert distributed.rank() == 0
        time.sleep(seconds)
        return {value: 1.0}

    score = processes.on_rank0(work if distributed.rank() == 0 else None)
    group = torch.distributed.GroupMember.WORLD._get_backend(torch.device("cpu"))
    assert score is not None
    group._set_default_timeout(timedelta(seconds=seconds / 4))
    try:
        with distributed.single_process():
            result = score("a")
    finally:
        group._set_default_timeout(timedelta(minutes=10))
    processes.barrier()
    return result, nothing is None


def test_the_other_ranks_wait_for_long_work_of_rank_0(two_ranks: TwoRanks) -> None:
    assert two_ranks(waited_for, 2.0) == [({"a": 1.0}, True), ({}, True)]


def numbers() -> torch.Tensor:
    seed_rank(torch.get_rng_state())
    return torch.randn(20_000)


def test_noise_of_two_ranks_is_independent(two_ranks: TwoRanks) -> None:
    first, second = two_ranks(numbers)
    torch.manual_seed(0)
    assert torch.equal(first, torch.randn(20_000))  # rank 0 has the stream of a single process
    for shift in range(3):
        correlation = torch.corrcoef(torch.stack([first[shift:], second[: 20_000 - shift]]))[0, 1]
        assert abs(correlation) < 5 / 20_000**0.5


def test_one_process_joins_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with init_process_group() as processes:
        assert processes.local_rank0_first(lambda: 3) == 3
        assert processes.broadcast_from_rank0({"a": 1}) == {"a": 1}
        assert processes.is_first_to_report()
        processes.barrier()
    assert local_device("cpu") == "cpu"
    with pytest.raises(ZeroDivisionError), init_process_group():
        raise ZeroDivisionError
    assert RankLostError("lost").args == ("lost",)
    assert ProcessGroup().is_first_to_report()


WORDS = ("train", "digits", "--device", "cpu", "--threads", "1", "--save-every", "0.3")


def ours(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("improved-gan: ")]


def wait_for_checkpoint(process: Started, out: Path) -> None:
    while process.poll() is None and not any(out.glob("checkpoints/*.safetensors")):
        time.sleep(0.05)


def workers(process: Started) -> list[int]:
    """The processes that torchrun started, in order of rank."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

    def number(pid: str) -> int:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return int(dict(entry.partition(b"=")[::2] for entry in entries).get(b"RANK", b"-1"))

    return [int(pid) for pid in sorted(children, key=number) if number(pid) >= 0]


def assert_one_message_and_resumable(errors: str, message: str, out: Path) -> None:
    assert len(ours(errors)) == 1, errors
    assert message in ours(errors)[0]
    assert ours(errors)[0].count("run the same command to continue") == 1
    again = cli(*WORDS, "--epochs", "2000", "--out", out, "--dry-run")
    assert "nothing was trained" in again.stdout
    assert Run(out).settings["epochs"] == 2000


KILLED = "another of the 2 processes was killed"


@pytest.mark.slow
@pytest.mark.parametrize("end", ["sigterm", "kill 0", "kill 1"])
def test_all_ranks_end_with_one_message_and_the_run_can_be_resumed(tmp_path: Path, end: str) -> None:
    with ranks(*WORDS, "--epochs", "2000", "--out", tmp_path / "run") as started:
        wait_for_checkpoint(started[0], tmp_path / "run")
        if end == "sigterm":
            for one in started:
                one.send_signal(signal.SIGTERM)
        else:
            started[int(end[-1])].kill()
        errors = end_as_torchrun_does(started)
        assert all(one.returncode for one in started)
    assert_one_message_and_resumable(
        "".join(errors), "stopped at step" if end == "sigterm" else KILLED, tmp_path / "run"
    )


@pytest.mark.slow
def test_torchrun_itself_ends_with_one_message(tmp_path: Path) -> None:
    options = ["--standalone", "--nproc-per-node", "2", "-m", "improved_gan", *WORDS, "--epochs", "2000"]
    process = start(*options, "--out", tmp_path / "run", module="torch.distributed.run")
    wait_for_checkpoint(process, tmp_path / "run")
    assert process.poll() is None, process.communicate()
    os.kill(workers(process)[1], signal.SIGKILL)
    _, errors = process.communicate(timeout=250)
    assert process.returncode != 0
    assert_one_message_and_resumable(errors, KILLED, tmp_path / "run")


@pytest.mark.slow
def test_bad_input_is_reported_once_and_writes_nothing(tmp_path: Path) -> None:
    with ranks(*WORDS, "--labels", "25", "--out", tmp_path / "run") as started:
        errors = "".join(end_as_torchrun_does(started))
        assert all(one.returncode for one in started)
    assert len(ours(errors)) == 1
    assert "25 labels cannot be divided evenly" in ours(errors)[0]
    assert not (tmp_path / "run").exists()

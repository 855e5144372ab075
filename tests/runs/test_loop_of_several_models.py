"""Two models with a run folder each, by `improved-gan train --num-models 2`, which calls this loop."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from improved_gan.cli import train_models
from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import run_training
from improved_gan.runs import Run
from improved_gan.runs.loop import Recorder
from improved_gan.training.errors import DivergedError, InterruptedRunError
from improved_gan.training.reporting import Reporter
from improved_gan.training.signals import StopRequest
from improved_gan.training.state import TrainingState, load_newest, save_checkpoint


def go(out: Path, recipe: str = "digits", **changes: object) -> str:
    screen = io.StringIO()
    options = TrainingOptions(**{"epochs": 3, "seed": 4, "threads": 1, "device": "cpu", "out": out, **changes})
    run_training(recipe, options, Console(file=screen, width=200), num_models=2)
    return screen.getvalue()


def folders(out: Path) -> list[Run]:
    return [Run(out / f"split-4-seed-{seed}") for seed in (4, 1004)]


def newest(folder: Run) -> Path:
    return max(folder.checkpoints.glob("*.safetensors"))


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a SIGTERM during that step."""
    requests: list[StopRequest] = []
    listen, advance = train_models.catch_signals, Reporter.advance

    class Listening:
        def __enter__(self) -> StopRequest:
            self.inner = listen()
            requests.append(self.inner.__enter__())
            return requests[-1]

        def __exit__(self, *error: object) -> None:
            self.inner.__exit__(*error)

    counted = []

    def count(reporter: Reporter) -> None:
        advance(reporter)
        counted.append(1)
        if len(counted) == step:
            requests[-1].signal_number = 15

    monkeypatch.setattr(train_models, "catch_signals", Listening)
    monkeypatch.setattr(Reporter, "advance", count)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never stopped."""
    out = tmp_path_factory.mktemp("whole")
    torch.set_num_threads(1)
    go(out)
    return out


def test_every_model_has_a_run_folder_as_if_trained_alone(whole: Path, tmp_path: Path) -> None:
    options = TrainingOptions(epochs=3, seed=4, threads=1, device="cpu", out=tmp_path)
    run_training("digits", options, Console(file=io.StringIO()))
    alone, (first, second) = Run(tmp_path), folders(whole)
    assert load_file(newest(first)).keys() == load_file(newest(alone)).keys()
    assert [set(line) - {"models"} for line in first.log.lines] == [set(line) for line in alone.log.lines]
    assert [line["models"] for line in first.log.lines] == [2] * len(alone.log.lines)
    assert (first.settings, first.fingerprint) == (alone.settings, alone.fingerprint)
    assert sorted(path.name for path in second.samples.iterdir()) == sorted(
        path.name for path in alone.samples.iterdir()
    )
    assert second.settings["seed"] == 1004
    assert second.settings["label_split"] == first.settings["label_split"]
    assert first.log.lines[-1]["discriminator/supervised"] != second.log.lines[-1]["discriminator/supervised"]
    assert list(second.tensorboard.iterdir())


def test_a_stop_saves_all_and_the_same_command_resumes(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(17, patch)
        with pytest.raises(InterruptedRunError, match=r"stopped at step 17 and saved in .*split-4-seed-4 and 1 more"):
            go(tmp_path)
    assert [newest(folder).stem for folder in folders(tmp_path)] == ["step-00000017"] * 2
    assert "continuing at step 17" in go(tmp_path)
    for ours, theirs in zip(folders(tmp_path), folders(whole), strict=True):
        a, b = load_file(newest(ours)), load_file(newest(theirs))
        for name in a.keys() - {"progress.seconds"}:
            torch.testing.assert_close(a[name], b[name], rtol=0, atol=0)


def test_a_model_that_is_behind_resumes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(17, patch)
        with pytest.raises(InterruptedRunError):
            go(tmp_path)
    newest(folders(tmp_path)[1]).unlink()  # as if killed before the second checkpoint was written
    go(tmp_path)
    assert [folder.log.lines[-1]["epoch"] for folder in folders(tmp_path)] == [3, 3]
    assert go(tmp_path).count("already complete") == 2


def test_a_group_resumes_with_its_own_random_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second model is finished and loaded last; the first one's random stream does not depend on it."""
    for name in ("one", "other"):
        with monkeypatch.context() as patch:
            stop_at(17, patch)
            with pytest.raises(InterruptedRunError):
                go(tmp_path / name)
    second = folders(tmp_path / "other")[1]
    path = newest(second)
    tensors = load_newest(second.checkpoints, fingerprint=second.fingerprint, warn=pytest.fail)
    assert tensors is not None
    path.unlink()
    tensors |= {"random.cpu": torch.Generator().manual_seed(9).get_state(), "progress.step": torch.tensor(36)}
    save_checkpoint(second.checkpoints, 36, tensors, fingerprint=second.fingerprint)
    for name in ("one", "other"):
        newest_of_second = newest(folders(tmp_path / name)[1])
        if name == "one":
            newest_of_second.unlink()  # at step 0: trained before the first, which must not matter either
        go(tmp_path / name)
    finals = [load_file(newest(folders(tmp_path / name)[0])) for name in ("one", "other")]
    assert torch.equal(*(one["discriminator.output.bias"] for one in finals))


def test_checkpoints_of_models_have_different_random_streams(whole: Path) -> None:
    streams = [load_file(newest(folder))["random.cpu"] for folder in folders(whole)]
    assert not torch.equal(*streams)


def test_a_model_that_diverges_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    not_finite = TrainingState.not_finite

    def broken(state: TrainingState) -> list[str]:
        ill = len(states) > 1 and state is states[0] and state.step >= 12
        return ["a term"] if ill else not_finite(state)

    states: list[TrainingState] = []
    init = Recorder.__post_init__

    def note(recorder: Recorder) -> None:
        states.append(recorder.state)
        init(recorder)

    monkeypatch.setattr(Recorder, "__post_init__", note)
    monkeypatch.setattr(TrainingState, "not_finite", broken)
    with pytest.raises(DivergedError, match=r"split-4-seed-4: .*a term.* not finite"):
        go(tmp_path)
    first, second = folders(tmp_path)
    assert first.log.lines == ()
    assert second.log.lines[-1]["epoch"] == 3
    assert newest(second).stem == "step-00000036"


def test_when_all_diverge_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "wild.py"
    file.write_text(
        "from dataclasses import replace\nfrom improved_gan.recipes import digits\n"
        "def recipe(labels=None):\n    return replace(digits(labels), name='wild', learning_rate=1e30)\n"
    )
    with pytest.raises(DivergedError, match=r"split-1-seed-1.* not finite"):
        go(tmp_path / "out", str(file), epochs=20, seed=1)

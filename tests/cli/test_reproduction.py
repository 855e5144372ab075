import io
import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from improved_gan.cli import reproduction
from improved_gan.cli.reproduce import ReproduceOptions
from improved_gan.cli.reproduction import print_expected_time, total_time
from improved_gan.data import DataError, load_digits
from improved_gan.data.download import offline
from improved_gan.metrics.errors import MetricError
from improved_gan.recipes import RECIPES, RecipeError, digits
from improved_gan.reproduction import cluster, executors, run_subprocess
from improved_gan.reproduction.expected_results import packaged_record, readable_duration
from improved_gan.reproduction.plan import Plan, RunOptions
from improved_gan.training.errors import RunError
from tests.command_line import cli, start
from tests.reproduction.jobs import STAND_IN, fill, plan


def said(out: Path, *, slots: int, done: int = 0, **options: object) -> str:
    whole = plan(out, epochs=200, options=RunOptions(**{"device": "cpu", **options}))
    for one in whole.all_jobs()[:done]:
        fill(one, wrong=9, epoch=100)
    screen = io.StringIO()
    print_expected_time(whole.all_jobs(), slots, Console(file=screen, width=200))
    return screen.getvalue()


def test_runs_that_do_not_share_slots_evenly() -> None:
    assert total_time([5.0, 1.0, 1.0, 1.0], 2) == 5.0
    assert total_time([1.0] * 3, 8) == 1.0
    assert total_time([1.0] * 10, 4) == 3.0


def test_the_time_of_recorded_runs_is_printed(tmp_path: Path) -> None:
    budget = packaged_record("digits")["budgets"]["50"]
    one = budget["seconds_per_step"] * budget["steps"]
    on = f"{budget['threads']} thread of {budget['machine']}, {budget['precision']}"
    assert (
        said(tmp_path / "a", slots=2)
        == f"expected time: about {readable_duration(2 * one)}, by recorded runs on {on}\n"
    )
    assert said(tmp_path / "b", slots=1, done=2).startswith(f"expected time: about {readable_duration(2 * one)}")


@pytest.mark.parametrize("options", [{"device": "cuda"}, {"precision": "bfloat16"}])
def test_nothing_is_printed_for_other_settings_than_recorded(options: dict[str, str], tmp_path: Path) -> None:
    assert said(tmp_path, slots=2, **options) == ""


def test_without_a_record_nothing_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduction, "packaged_record", lambda name: None)
    assert said(tmp_path, slots=2) == ""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(run_subprocess, "PROGRAM", (str(tmp_path / "stand_in.py"),))
    monkeypatch.setattr(executors, "_num_gpus", lambda: 0)


def go(out: Path, screen: io.StringIO | None = None, **changes: object) -> str:
    screen = screen or io.StringIO()
    asked = {"table": None, "recipe": "digits", "num_splits": 3, "epochs": 1, "jobs": 3, "threads": 1}
    reproduction.reproduce(ReproduceOptions(**{**asked, "out": out, **changes}), Console(file=screen, width=120))
    return screen.getvalue()


def test_from_nothing_to_the_table_and_not_twice(stand_in: None, tmp_path: Path) -> None:
    text = go(tmp_path / "out")
    assert "3 of 3 runs to do" in text
    assert "3 runs at a time, 1 threads each" in text
    content = json.loads((tmp_path / "out" / "table.json").read_text())
    assert content["cells"][0]["values"] == {"1": 100, "2": 101, "3": 102}
    assert content["cells"][0]["minutes"] == dict.fromkeys(("split-1-seed-1", "split-2-seed-2", "split-3-seed-3"), 1.0)
    for name in ("table.md", "table.png", "curves.png"):
        assert (tmp_path / "out" / name).is_file()
    again = go(tmp_path / "out")
    assert "0 of 3 runs to do" in again
    assert "begins" not in again
    assert "101 ± 1" in again
    more = go(tmp_path / "out", num_splits=4)
    assert "1 of 4 runs to do" in more
    assert more.count("begins") == 1


def test_a_command_that_dies_leaves_the_table_of_the_runs_that_had_ended(stand_in, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(reproduction, "_report", lambda *_: pytest.fail("as if the power had gone"))
    monkeypatch.setattr(reproduction, "known_ensemble", lambda jobs: None)
    with pytest.raises(pytest.fail.Exception):
        go(tmp_path, num_seeds=2, ensemble=2, num_splits=1, jobs=2)
    one, ensemble = json.loads((tmp_path / "table.json").read_text())["cells"]
    assert len(one["single_values"]) == 2
    assert ensemble["note"] == "computed when the command ends"
    assert "| 50 labels | 1 | - | 100 | 1/1 | - | 1.0 |" in (tmp_path / "table.md").read_text()


def test_a_table_that_cannot_be_written_in_between_stops_no_run(stand_in, tmp_path: Path, monkeypatch) -> None:
    write, failures = reproduction._write, [OSError("no space left on device")]

    def write_later(*words):
        if failures:
            raise failures.pop()
        return write(*words)

    monkeypatch.setattr(reproduction, "_write", write_later)
    text = go(tmp_path, num_splits=3, jobs=1)
    assert "could not be written after this run; the runs continue: no space left on device" in text
    assert list(json.loads((tmp_path / "table.json").read_text())["cells"][0]["values"]) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("asked", "models", "ensemble"),
    [({}, 1, 10), ({"num_seeds": 4}, 4, 10), ({"ensemble": 3}, 3, 3), ({"num_seeds": 4, "ensemble": 3}, 4, 3)],
)
def test_an_ensemble_that_is_asked_for_has_its_models(asked, models: int, ensemble: int, tmp_path, monkeypatch) -> None:
    seen: list[Plan] = []
    monkeypatch.setattr(reproduction, "_report", lambda plan, *_: seen.append(plan) or [])
    go(tmp_path, dry_run=True, **asked)
    assert (seen[0].models, seen[0].ensemble) == (models, ensemble)


def test_a_table_of_scores_has_no_ensembles(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="table ablations has no ensembles: leave out --ensemble"):
        go(tmp_path, table="ablations", recipe=None, ensemble=2, dry_run=True)


def test_a_failed_run_is_shown_and_does_not_stop_the_others(stand_in: None, tmp_path: Path) -> None:
    text = go(tmp_path, num_splits=13, jobs=13)
    assert "warning: digits-50/split-13-seed-13 failed, the other runs continue: D is not finite" in text
    assert "12/13, 1 failed" in text
    assert "50 labels, split-13-seed-13 failed: D is not finite at step 7" in text


def test_a_dry_run_starts_and_writes_nothing(stand_in: None, tmp_path: Path) -> None:
    assert "0/3" in go(tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()


def test_without_a_recipe_the_papers_table_is_shown_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(RECIPES, "cifar10")
    text = go(tmp_path / "out", table="cifar10", recipe=None)
    assert "18.63 ± 2.32" in text
    assert "no recipe yet: cifar10" in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"table": "mnist", "recipe": None, "data": Path("/nowhere")},
            DataError,
            "lacks train-images",
        ),
        ({"epochs": 1, "device": "abacus"}, RunError, "try --device cpu"),
        (
            {"table": "ablations", "recipe": None, "num_splits": 1},
            DataError,
            "scored by Inception, whose weights were not",
        ),
        (
            {"eval_network": "nothing"},
            DataError,
            "--eval-network: there is no network nothing: take inception-2015",
        ),
        (
            {"recipe": "digits-supervised", "eval_network": "inception-2015"},
            MetricError,
            "digits-supervised trains no GAN, so there are no samples to score: no --eval-network",
        ),
        ({"labels": [50, 55]}, DataError, "55 labels cannot be divided evenly among 10 classes"),
        ({"scheduler": "tcp://127.0.0.1:9"}, RunError, "no dask scheduler found"),
    ],
)
def test_what_is_wrong_for_all_runs_is_told_once_before_any(
    stand_in: None, tmp_path: Path, monkeypatch, changes: dict, error: type[Exception], message: str
) -> None:
    monkeypatch.setattr(cluster, "_TIMEOUT", 0.5)
    for cache in ("IMPROVED_GAN_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(cache, str(tmp_path / "cache"))
    screen = io.StringIO()
    with offline(), pytest.raises(error, match=message):
        go(tmp_path / "out", screen, **changes)
    assert not (tmp_path / "out").exists()
    assert len(screen.getvalue().splitlines()) == 1  # how many runs there are to do; no empty table


@pytest.mark.parametrize(
    ("setting", "title", "given"),
    [("num_labels=0", "0 labels", 0), ("num_labels=1297, labels_as_given=True", "all labels", None)],
)
def test_recipes_without_labels_or_with_all_are_run(stand_in, setting: str, title: str, given, tmp_path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\nfrom improved_gan.recipes import digits\ndef recipe(labels=None):\n"
        f"    assert labels in (None, {given})\n    return replace(digits(), name='mine', {setting})"
    )
    text = go(tmp_path / "out", recipe=str(file), num_splits=1)
    assert f"{title}  " in text
    assert "1/1" in text


def test_a_network_file_is_found_by_workers_that_run_in_another_folder() -> None:
    for name, absolute in (
        ("net.onnx", str(Path.cwd() / "net.onnx")),
        ("timm:resnet18", "timm:resnet18"),
        (None, None),
    ):
        options = ReproduceOptions(recipe="digits", eval_network=name)
        assert reproduction._run_options(options).eval_network == absolute


@pytest.mark.slow
@pytest.mark.usefixtures("quick_trainings")
def test_stopped_by_a_signal_and_gone_on_with_by_the_same_command(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["reproduce", "--recipe", "digits", "--num-splits", "1", "--num-seeds", "2", "--ensemble", "2"]
    words += ["--epochs", "20", "--jobs", "2", "--device", "cpu", "--out", str(out)]
    process = start(*words, python=sys.executable)
    deadline = time.monotonic() + 120
    while not list(out.glob("*/*/log.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    text, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors == "improved-gan: stopped, every run has saved: the same command continues\n"
    assert "0/1" in text
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    one, ensemble = json.loads((out / "table.json").read_text())["cells"]
    assert len(one["single_values"]) == 2
    assert len(ensemble["values"]) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("quick_trainings")
def test_all_models_of_a_split_in_one_process_and_none_twice(tmp_path: Path) -> None:
    asked = {"num_splits": 1, "num_seeds": 2, "ensemble": 2, "vmap": True, "jobs": 1}
    text = go(tmp_path, epochs=1, device="cpu", **asked)
    assert "1 of 1 runs to do, 2 models in each" in text
    cells = json.loads((tmp_path / "table.json").read_text())["cells"]
    assert [cell["models"] for cell in cells] == [1, 2]
    assert all(list(cell["values"]) == ["1"] for cell in cells)
    assert "0 of 1 runs to do" in go(tmp_path, epochs=1, device="cpu", **asked)
    assert "0 of 2 runs to do;" in go(tmp_path, epochs=1, device="cpu", **{**asked, "vmap": None})


def test_scores_of_embeddings_are_refused_before_any_run(stand_in: None, tmp_path: Path, monkeypatch) -> None:
    embedded = replace(load_digits(), embedding={"name": "pixels"})
    monkeypatch.setitem(RECIPES, "digits", lambda labels: replace(digits(labels), load_data=lambda _: embedded))
    monkeypatch.setattr(reproduction, "choose_network", lambda *_, **__: None)
    with pytest.raises(MetricError, match="digits generates no images, so there are no samples to score"):
        go(tmp_path / "out", eval_network="inception-2015")
    assert not (tmp_path / "out").exists()

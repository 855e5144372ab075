import json
import threading
import time
from pathlib import Path

import pytest

from improved_gan.reproduction import run_subprocess
from improved_gan.reproduction.job_status import read_status
from improved_gan.reproduction.provenance import commit
from improved_gan.reproduction.run_subprocess import Outcome, failed, machine, run_job
from improved_gan.runs import Run
from tests.reproduction.jobs import STAND_IN, fill, job


@pytest.fixture(autouse=True)
def _stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(run_subprocess, "PROGRAM", (str(tmp_path / "stand_in.py"),))


def never() -> bool:
    return False


def test_a_run_to_its_end_with_its_threads(tmp_path: Path) -> None:
    one = job(tmp_path)
    assert run_job(one, threads=3, stop=never) == Outcome(one, "done")
    assert read_status(one).state == "done"
    assert one.sidecar_path("log").read_text() == "threads 3 3\n"
    start = {**machine(3, None), "commit": commit()}
    assert json.loads(one.sidecar_path("machine.json").read_text()) == {**machine(3, None), "starts": [start]}


def test_every_start_is_noted(tmp_path: Path) -> None:
    one = job(tmp_path, epochs=4)
    run_job(one, threads=1, stop=lambda: read_status(one).epoch >= 2)
    run_job(one, threads=2, stop=never)
    assert read_status(one).state == "done"
    noted = json.loads(one.sidecar_path("machine.json").read_text())
    assert ([start["threads"] for start in noted["starts"]], noted["threads"]) == ([1, 2], 2)


def test_a_start_that_came_second_is_not_noted(tmp_path: Path) -> None:
    (tmp_path / "stand_in.py").write_text("import sys; sys.exit('improved-gan: another process is training in x')")
    one = job(tmp_path)
    assert run_job(one, threads=1, stop=never).how == "busy"
    file = one.sidecar_path("machine.json")
    assert not file.exists()
    file.write_text('{"machine": "of the first"}')
    assert run_job(one, threads=1, stop=never).how == "busy"
    assert file.read_text() == '{"machine": "of the first"}'


def test_a_run_that_is_done_is_not_started(tmp_path: Path) -> None:
    fill(job(tmp_path), wrong=5)
    assert run_job(job(tmp_path), threads=1, stop=never).how == "done"
    assert not job(tmp_path).sidecar_path("log").exists()


def test_a_stop_lets_it_save_and_the_next_start_goes_on(tmp_path: Path) -> None:
    one = job(tmp_path, epochs=6)
    assert run_job(one, threads=1, stop=lambda: read_status(one).epoch >= 2).how == "stopped"
    stopped_at = read_status(one).epoch
    assert 2 <= stopped_at < 6
    assert not one.sidecar_path("failed.json").exists()
    assert run_job(one, threads=1, stop=never).how == "done"
    assert len(Run(one.folder).log.lines) == 6


def test_a_failure_is_kept_with_its_words_until_it_is_tried_again(tmp_path: Path) -> None:
    one = job(tmp_path, split=13)
    outcome = run_job(one, threads=1, stop=never)
    assert (outcome.how, outcome.message) == ("failed", "D is not finite at step 7: training has diverged")
    assert read_status(one).failure == outcome.message
    with Run(one.folder).locked():
        run_job(one, threads=1, stop=never)
    assert read_status(one).state == "failed"


def test_the_failure_of_several_models_in_one_is_that_of_those_that_are_not_done(tmp_path: Path) -> None:
    both = job(tmp_path, models=2)
    first, second = both.single()
    fill(first, wrong=5)
    failed(both, "second model: D is not finite", code=1)
    assert (read_status(first).state, read_status(second).state) == ("done", "failed")
    assert read_status(second).failure == "second model: D is not finite"
    assert not first.sidecar_path("failed.json").exists()


def test_a_killed_process_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "stand_in.py").write_text("import os; os.kill(os.getpid(), 9)")
    assert "ended by signal 9" in run_job(job(tmp_path), threads=1, stop=never).message


def test_it_waits_for_who_holds_the_folder_and_then_goes_on(tmp_path: Path) -> None:
    one = job(tmp_path)
    with Run(one.folder).locked():
        assert run_job(one, threads=1, stop=never).how == "busy"
        assert run_job(one, threads=1, lock_timeout=60, stop=lambda: True).how == "stopped"
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(run_job(one, threads=1, lock_timeout=60, stop=never)))
        thread.start()
        time.sleep(0.3)
        assert not outcomes
    thread.join(30)
    assert [outcome.how for outcome in outcomes] == ["done"]


def test_the_machine_is_named() -> None:
    assert machine(2, "cpu")["threads"] == 2
    assert machine(2, "cpu")["machine"]
    assert machine(2, "cpu")["cores"] >= 1

import time
from pathlib import Path

import pytest

from improved_gan.reproduction import executors, run_subprocess
from improved_gan.reproduction.executors import LocalExecutor
from improved_gan.reproduction.job_status import read_status
from improved_gan.reproduction.plan import Job
from improved_gan.reproduction.run_subprocess import Outcome
from tests.reproduction.jobs import STAND_IN, job


@pytest.mark.parametrize(
    ("cores", "gpus", "asked", "slots", "threads"),
    [
        (8, 0, {}, 8, 1),
        (8, 0, {"num_runs": 3}, 3, 2),
        (8, 0, {"jobs": 2}, 2, 4),
        (8, 0, {"jobs": 2, "threads": 1}, 2, 1),
        (2, 0, {"jobs": 5}, 5, 1),
        (16, 4, {}, 4, 4),
        (16, 4, {"device": "cpu"}, 16, 1),
    ],
)
def test_slots_and_threads(cores: int, gpus: int, asked: dict, slots: int, threads: int, monkeypatch) -> None:
    monkeypatch.setattr(executors, "num_cores", lambda: cores)
    monkeypatch.setattr(executors, "_num_gpus", lambda: gpus)
    pool = LocalExecutor(**{"jobs": None, "threads": None, "device": None, "num_runs": 40, **asked})
    assert (pool.num_slots, pool.threads) == (slots, threads)
    pool.stop()


def test_runs_share_the_gpus_in_turn_and_a_stop_ends_all(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(run_subprocess, "PROGRAM", (str(tmp_path / "stand_in.py"),))
    monkeypatch.setattr(executors, "_num_gpus", lambda: 2)
    pool = LocalExecutor(jobs=None, threads=1, device=None, num_runs=9)
    jobs = [job(tmp_path, split=split, epochs=1000) for split in (1, 2, 3)]
    for one in jobs:
        pool.submit(one)
    deadline = time.monotonic() + 30
    while not all(read_status(one).epoch for one in jobs[:2]) and time.monotonic() < deadline:
        time.sleep(0.05)
    pool.stop()
    assert sorted(outcome.how for outcome in pool.finished()) == ["stopped", "stopped"]
    devices = {one.sidecar_path("machine.json").read_text().split('"device": ')[1][:8] for one in jobs[:2]}
    assert devices == {'"cuda:0"', '"cuda:1"'}
    assert not jobs[2].folder.exists()


def test_a_run_that_cannot_even_be_started_has_failed_and_the_others_go_on(tmp_path: Path, monkeypatch) -> None:
    def start(one: Job, **_: object) -> Outcome:
        if one.split == 1:
            raise OSError("no more processes")
        return Outcome(one, "done")

    monkeypatch.setattr(executors, "run_job", start)
    pool = LocalExecutor(jobs=2, threads=1, device="cpu", num_runs=2)
    jobs = [job(tmp_path, split=split) for split in (1, 2)]
    for one in jobs:
        pool.submit(one)
    outcomes: list[Outcome] = []
    deadline = time.monotonic() + 30
    while len(outcomes) < 2 and time.monotonic() < deadline:
        outcomes += pool.finished()
    pool.stop()
    assert sorted(outcomes, key=lambda outcome: outcome.job.split) == [
        Outcome(jobs[0], "failed", "OSError: no more processes"),
        Outcome(jobs[1], "done"),
    ]
    assert read_status(jobs[0]).failure == "OSError: no more processes"

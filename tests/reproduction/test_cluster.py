"""A real scheduler and two real workers, each a process, on the loopback interface."""

import importlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from improved_gan.reproduction import cluster
from improved_gan.reproduction.cluster import DaskExecutor
from improved_gan.reproduction.job_status import read_status
from improved_gan.runs import Run
from improved_gan.training.errors import RunError
from tests.command_line import cli
from tests.reproduction.jobs import job


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def workers(
    tmp_path_factory: pytest.TempPathFactory, quick_python: Path
) -> Iterator[tuple[Path, list["subprocess.Popen[bytes]"]]]:
    """The scheduler's file; the scheduler, and two workers of one thread each.

    One test kills a worker and the last one the scheduler; those before them need both workers.
    """
    folder = tmp_path_factory.mktemp("cluster")
    address = folder / "scheduler.json"
    (folder / "quick.py").write_text(f"import sys\nsys.executable = {str(quick_python)!r}")  # starts the trainings

    def start(*words: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "dask", *words, "--scheduler-file", str(address), "--no-dashboard"]
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    processes = [start("scheduler", "--host", "127.0.0.1", "--port", "0")]
    until(address.exists)
    for _ in range(2):
        processes.append(
            start("worker", "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--preload", "quick.py")
        )
    yield address, processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_the_command_spreads_a_table_over_the_workers(workers, tmp_path: Path) -> None:
    words = ["reproduce", "--recipe", "digits", "--num-splits", "2", "--epochs", "1", "--out", str(tmp_path / "out")]
    done = cli(*words, "--scheduler", str(workers[0]), "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "on the cluster at" in done.stdout
    cell = json.loads((tmp_path / "out" / "table.json").read_text())["cells"][0]
    assert list(cell["values"]) == ["1", "2"]
    assert all(0 < wrong < 500 for wrong in cell["values"].values())


@pytest.mark.slow
def test_workers_that_cannot_do_it_are_told(workers, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cluster, "_version_and_access", _only_here)
    with pytest.raises(
        RunError, match=r"a worker cannot run improved-gan \(.*No module named 'tests'.*install it there"
    ):
        DaskExecutor(str(workers[0]), out=tmp_path, threads=None, device=None)
    monkeypatch.undo()
    monkeypatch.setattr(Path, "touch", lambda path: None)  # as if written to a disk of our own
    with pytest.raises(RunError, match=r"cannot access .*: give an --out that all machines share"):
        DaskExecutor(str(workers[0]), out=tmp_path, threads=None, device=None)


@pytest.mark.slow
def test_a_stop_saves_and_a_killed_workers_run_goes_on_elsewhere(workers, tmp_path: Path, monkeypatch) -> None:
    address, processes = workers
    monkeypatch.setattr(cluster, "_STOP_TIMEOUT", 1e9)  # a stop that only ran out of lock_timeout would hang here
    one = job(tmp_path / "out", epochs=80)  # long enough to be killed in the middle
    one.group.mkdir(parents=True)

    pool = DaskExecutor(str(address), out=tmp_path / "out", threads=None, device="cpu")
    pool._client.wait_for_workers(2, timeout=120)
    assert pool.num_slots == 2
    pool.submit(one)
    until(lambda: read_status(one).epoch >= 10)
    pool.stop()
    assert read_status(one).state == "partial"
    assert not Run(one.folder).is_locked()
    assert list((one.folder / "checkpoints").iterdir())

    pool = DaskExecutor(str(address), out=tmp_path / "out", threads=None, device="cpu")
    pool.submit(one)
    stopped_at = read_status(one).epoch
    until(lambda: read_status(one).epoch > stopped_at)
    busy = {address: len(keys) for address, keys in pool._client.processing().items()}
    pids = pool._client.run(__import__("os").getpid)
    victim = next(process for process in processes if process.pid == pids[max(busy, key=busy.get)])
    victim.send_signal(signal.SIGKILL)
    outcomes = []
    until(lambda: outcomes.extend(pool.finished()) or outcomes)
    pool.stop()
    assert [outcome.how for outcome in outcomes] == ["done"]
    assert read_status(one).state == "done"
    assert one.sidecar_path("log").read_text().count("continuing at step") == 2  # after the stop, and after the kill
    epochs = [report["epoch"] for report in Run(one.folder).log.lines]
    assert epochs == list(range(10, 81, 10))


@pytest.mark.slow
def test_a_run_that_dask_gives_up_is_kept_as_failed_and_a_lost_scheduler_is_one_line(
    workers, tmp_path: Path, monkeypatch, caplog
) -> None:
    address, processes = workers
    one, other = (job(tmp_path / "out", split=split, epochs=1000) for split in (1, 2))
    one.group.mkdir(parents=True)
    pool = DaskExecutor(str(address), out=tmp_path / "out", threads=None, device="cpu")
    monkeypatch.setattr(cluster, "_run_on_worker", divmod)
    pool.submit(one)
    outcomes = []
    until(lambda: outcomes.extend(pool.finished()) or outcomes)
    assert [outcome.how for outcome in outcomes] == ["failed"]
    assert read_status(one).state == "failed"
    assert read_status(one).failure.startswith("TypeError on the cluster: divmod expected 2 arg")
    monkeypatch.undo()
    pool.submit(other)
    until(lambda: Run(other.folder).is_locked())
    processes[0].kill()
    with pytest.raises(RunError, match=r"lost the scheduler at .*: every run saves; the same command continues"):
        until(lambda: pool.finished() or pool.num_slots == 0)
    with pytest.raises(RunError, match="lost the scheduler"):
        pool.stop()
    assert read_status(other).state != "failed"
    assert not caplog.records
    until(lambda: not Run(other.folder).is_locked())


def _only_here(path: str) -> tuple[str, bool]:
    return "", False


def test_no_scheduler_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_TIMEOUT", 0.5)
    with pytest.raises(RunError, match=r"no dask scheduler found at tcp://127\.0\.0\.1:9 .*`dask scheduler`"):
        DaskExecutor("tcp://127.0.0.1:9", out=tmp_path, threads=None, device=None)


def test_a_missing_extra_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(RunError, match=r"pip install 'improved-gan\[dask\]'"):
        DaskExecutor("tcp://127.0.0.1:9", out=tmp_path, threads=None, device=None)


def test_questions_reach_the_scheduler_at_most_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [10.0], []
    monkeypatch.setattr(cluster.time, "monotonic", lambda: now[0])
    stop = cluster._once_a_second(lambda: bool(asked.append(now[0])) or now[0] > 11)
    assert [stop() for now[0] in (10.0, 10.5, 10.9, 11.0, 11.5, 12.0, 12.1)] == [False] * 5 + [True] * 2
    assert asked == [10.0, 11.0, 12.0]

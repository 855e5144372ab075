import signal
from pathlib import Path

import pytest

from improved_gan.reproduction import executors
from improved_gan.reproduction.executors import Executor, run_all
from improved_gan.reproduction.plan import Job
from improved_gan.reproduction.run_subprocess import Outcome
from improved_gan.training.errors import InterruptedRunError
from improved_gan.training.signals import StopRequest
from tests.reproduction.jobs import fill, job


class FakePool(Executor):
    """Ends each run at the next look, as `answers` says; "done" without one."""

    num_slots = 2

    def __init__(self, **answers: list[str]) -> None:
        self.answers, self.given, self.most, self.order, self.stopped = answers, [], 0, [], False

    def submit(self, one: Job) -> None:
        self.given.append(one)
        self.order.append(one.name)
        self.most = max(self.most, len(self.given))

    def finished(self) -> list[Outcome]:
        ended, self.given = self.given, []
        return [Outcome(one, (self.answers.get(f"split{one.split}") or ["done"]).pop(0)) for one in ended]

    def stop(self) -> None:
        self.stopped = True


class Watcher:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def watch(self, running: object) -> None:
        pass

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_POLL", 0)


def test_what_is_missing_is_run_in_order_no_more_at_once_than_there_are_slots(tmp_path: Path) -> None:
    jobs = [job(tmp_path, split=split) for split in range(1, 6)]
    fill(jobs[1], wrong=3)
    pool, watcher = FakePool(split3=["failed"]), Watcher()
    outcomes = run_all(jobs, pool, watcher=watcher, stop=StopRequest())
    assert pool.order == [jobs[index].name for index in (0, 2, 3, 4)]
    assert pool.most == 2
    assert pool.stopped
    assert [outcome.how for outcome in outcomes] == ["done", "failed", "done", "done"]
    assert watcher.outcomes == outcomes


def test_a_run_that_someone_else_trains_is_tried_again_later(tmp_path: Path) -> None:
    pool, times = FakePool(split1=["busy", "busy", "done"]), iter(range(0, 10_000, 2))
    jobs = [job(tmp_path, split=1), job(tmp_path, split=2)]
    outcomes = run_all(jobs, pool, watcher=Watcher(), stop=StopRequest(), clock=lambda: float(next(times)))
    assert pool.order == [jobs[0].name, jobs[1].name, jobs[0].name, jobs[0].name]
    assert [outcome.how for outcome in outcomes] == ["done", "done"]


def test_a_stop_reaches_the_pool_before_it_is_told(tmp_path: Path) -> None:
    stop, pool = StopRequest(), FakePool()
    stop.signal_number = signal.SIGTERM
    with pytest.raises(InterruptedRunError, match="the same command continues") as caught:
        run_all([job(tmp_path)], pool, watcher=Watcher(), stop=stop)
    assert caught.value.signal_number == signal.SIGTERM
    assert pool.stopped

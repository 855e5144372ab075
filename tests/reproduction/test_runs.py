import fcntl
import json
import subprocess
import sys
from pathlib import Path

from improved_gan.reproduction import runs
from improved_gan.reproduction.runs import is_locked, last_report, look
from improved_gan.training.run_folder import RunFolder
from tests.reproduction.jobs import fill, job


def test_states_of_a_run(tmp_path: Path) -> None:
    waiting, part, done, unsaved, failed = (job(tmp_path, split=split) for split in range(1, 6))
    fill(part, wrong=9, epoch=1)
    fill(done, wrong=9)
    fill(unsaved, wrong=9, checkpoint=False)  # killed between the last report and the last checkpoint
    fill(failed, wrong=9, epoch=1)
    failed.beside("failed.json").write_text(json.dumps({"code": 1, "message": "diverged"}))
    assert [look(one).state for one in (waiting, part, done, unsaved, failed)] == [
        *("waiting", "part", "done", "part", "failed"),
    ]
    assert look(failed).failure == "diverged"
    assert [look(one).epoch for one in (waiting, part, done)] == [0, 1, 2]


def test_a_run_made_longer_is_no_longer_done(tmp_path: Path) -> None:
    fill(job(tmp_path), wrong=9)
    assert look(job(tmp_path, epochs=3)).state == "part"


def test_the_last_whole_report_counts(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert last_report(log) == {}
    one, two, three = ({"epoch": epoch, "step": 12 * epoch} for epoch in (1, 2, 3))
    log.write_text("\n".join(map(json.dumps, (one, {**two, "note": "x" * 70_000}, three))) + '\n{"epo')
    assert last_report(log) == three


def test_a_lock_is_seen_and_left_as_it_is(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "nowhere")
    with RunFolder(tmp_path).locked():
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    with RunFolder(tmp_path).locked():
        pass


def test_a_lock_is_seen_where_flock_is_made_of_record_locks(tmp_path: Path, monkeypatch) -> None:
    """As over NFS: a shared lock then needs a file that is open for reading."""
    monkeypatch.setattr(runs.fcntl, "flock", fcntl.lockf)
    lock = tmp_path / ".lock"
    lock.touch()
    assert not is_locked(tmp_path)
    words = "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.lockf(file, fcntl.LOCK_EX); print(1, flush=True)"
    other = subprocess.Popen(
        [sys.executable, "-c", f"{words}; sys.stdin.read()", str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()
    assert is_locked(tmp_path)
    other.communicate()
    assert not is_locked(tmp_path)


def test_of_several_models_the_one_that_is_least_far_counts(tmp_path: Path) -> None:
    waiting, part, done = (job(tmp_path, split=split, models=2) for split in (1, 2, 3))
    for both, epoch in ((part, 1), (done, 2)):
        first, second = both.single()
        fill(first, wrong=9)
        fill(second, wrong=8, epoch=epoch)
    fill(waiting.single()[0], wrong=9)
    assert [(look(one).state, look(one).epoch) for one in (waiting, part, done)] == [
        *[("waiting", 0), ("part", 1), ("done", 2)],
    ]
    assert look(done).job == done

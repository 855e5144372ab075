import json
from pathlib import Path

from improved_gan.reproduction.job_status import read_status
from tests.mutations import damaged_headers
from tests.reproduction.jobs import fill, job


def test_states_of_a_run(tmp_path: Path) -> None:
    waiting, part, done, unsaved, failed = (job(tmp_path, split=split) for split in range(1, 6))
    fill(part, wrong=9, epoch=1)
    fill(done, wrong=9)
    fill(unsaved, wrong=9, checkpoint=False)  # killed between the last report and the last checkpoint
    fill(failed, wrong=9, epoch=1)
    failed.sidecar_path("failed.json").write_text(json.dumps({"code": 1, "message": "diverged"}))
    assert [read_status(one).state for one in (waiting, part, done, unsaved, failed)] == [
        *("waiting", "partial", "done", "partial", "failed"),
    ]
    assert read_status(failed).failure == "diverged"
    assert [read_status(one).epoch for one in (waiting, part, done)] == [0, 1, 2]


def test_a_run_made_longer_is_no_longer_done(tmp_path: Path) -> None:
    fill(job(tmp_path), wrong=9)
    assert read_status(job(tmp_path, epochs=3)).state == "partial"


def test_any_wrong_byte_in_a_runs_files_is_a_state(tmp_path: Path) -> None:
    one = job(tmp_path)
    fill(one, wrong=9)
    log, states = one.folder / "log.jsonl", set()
    for damaged in damaged_headers(log.read_bytes(), 200):
        log.write_bytes(damaged)
        states.add(read_status(one).state)
    assert states == {"done", "partial"}
    log.unlink()
    for damaged in damaged_headers(b'{"code": 1, "message": "diverged"}', 200):
        one.sidecar_path("failed.json").write_bytes(damaged)
        run = read_status(one)
        assert (run.state, "\n" in run.failure) in (("failed", False), ("partial", False))


def test_of_several_models_the_one_that_is_least_far_counts(tmp_path: Path) -> None:
    waiting, part, done = (job(tmp_path, split=split, models=2) for split in (1, 2, 3))
    for both, epoch in ((part, 1), (done, 2)):
        first, second = both.single()
        fill(first, wrong=9)
        fill(second, wrong=8, epoch=epoch)
    fill(waiting.single()[0], wrong=9)
    assert [(read_status(one).state, read_status(one).epoch) for one in (waiting, part, done)] == [
        *[("waiting", 0), ("partial", 1), ("done", 2)],
    ]
    assert read_status(done).job == done

import io
import json
from pathlib import Path

from rich.console import Console

from improved_gan.reproduction import progress
from improved_gan.reproduction.progress import Display
from improved_gan.reproduction.run_subprocess import Outcome
from tests.reproduction.jobs import fill, job


def screen(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)


def test_elsewhere_a_line_when_a_run_begins_ends_fails_and_now_and_then(tmp_path: Path, monkeypatch) -> None:
    jobs, console = [job(tmp_path, split=split) for split in (1, 2, 3)], screen(terminal=False)
    fill(jobs[0], wrong=7)
    fill(jobs[1], wrong=8, epoch=1)
    ended = []
    with Display(jobs, console, after_each=lambda: ended.append(len(ended))) as shown:
        shown.watch(jobs[1:])
        monkeypatch.setattr(progress, "_LOOK", 0)
        monkeypatch.setattr(progress, "_LINE", 0)
        shown.watch(jobs[1:])
        jobs[2].sidecar_path("failed.json").write_text(json.dumps({"message": "out of luck"}))
        shown.ended(Outcome(jobs[2], "failed", "out of luck"))
        shown.ended(Outcome(jobs[0], "done"))
    assert ended == [0, 1]
    assert console.file.getvalue().splitlines() == [
        "digits-50/split-2-seed-2 continues after epoch 1",
        "digits-50/split-3-seed-3 begins",
        "1 of 3 runs done; now split-2-seed-2 epoch 1/2  test error 1.60% (8 wrong); split-3-seed-3 starting",
        "warning: digits-50/split-3-seed-3 failed, the other runs continue: out of luck",
        "digits-50/split-1-seed-1 done: epoch 2/2  test error 1.40% (7 wrong)  D supervised 0.2000",
    ]


def test_on_a_terminal_one_bar_for_all_and_one_for_each_run(tmp_path: Path) -> None:
    jobs, console = [job(tmp_path, split=split) for split in (1, 2)], screen(terminal=True)
    fill(jobs[0], wrong=7, epoch=1)
    with Display(jobs, console) as shown:
        shown.watch(jobs)
        shown._progress.refresh()
    text = console.file.getvalue()
    assert "all runs" in text
    assert "0 of 2 runs" in text
    assert "digits-50/split-1-seed-1" in text
    assert "epoch 1/2  test error 1.40% (7 wrong)" in text

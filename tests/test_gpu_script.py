"""`benchmarks/gpu.sh` at toy size on a CPU: it stops when it is told, goes on when called again, counts its steps."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "gpu.sh"


def call(
    out: Path, *, seconds: int, runs: str = "digits:50", python: Path | str = sys.executable
) -> subprocess.Popen[str]:
    settings = {
        "OUT": str(out),
        "PYTHON": str(python),
        "RUNS": runs,
        "SECONDS_A_CALL": str(seconds),
        "OPTIONS": "--device cpu --threads 1 --epochs 20 --save-every 0.2",
    }
    return subprocess.Popen(["bash", str(SCRIPT)], env=os.environ | settings, stdout=subprocess.PIPE, text=True)


def lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "throughput.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_it_resumes_between_calls_and_counts_steps(tmp_path: Path, quick_python: Path) -> None:
    first = call(tmp_path, seconds=250, python=quick_python)
    while first.poll() is None and not any(tmp_path.glob("runs/*/checkpoints/*")):
        time.sleep(0.02)
    first.send_signal(signal.SIGTERM)  # as when the time is over, but at a point that does not hang on the machine
    text, _ = first.communicate(timeout=60)
    assert first.returncode == 0
    assert "time is over, call again" in text
    (line,) = lines(tmp_path)
    assert 0 < line["step"] < 240
    assert line["steps_a_second"] > 0
    text, _ = call(tmp_path, seconds=250, python=quick_python).communicate(timeout=250)
    assert f"from step {line['step']}" in text
    assert f"continuing at step {line['step']}" in text
    assert [one["exit"] for one in lines(tmp_path)] == [143, 0]
    assert sum(one["steps"] for one in lines(tmp_path)) == lines(tmp_path)[-1]["step"] == 240
    assert "test/error" in (tmp_path / "summary.txt").read_text()


def test_when_the_time_is_over_nothing_begins(tmp_path: Path) -> None:
    done = call(tmp_path, seconds=0)
    assert "digits:50: time is over, call again" in done.communicate(timeout=60)[0]
    assert done.returncode == 0
    assert not list((tmp_path / "runs").iterdir())


def test_the_time_ends_a_run_and_a_failure_is_told(tmp_path: Path) -> None:
    stand_in = tmp_path / "python"  # trains for a minute, or knows no such recipe
    words = 'case "$*" in -m*nothing*) echo "no recipe"; exit 2;; -m*) exec sleep 60;; esac'
    stand_in.write_text(f'#!/bin/sh\n{words}\nexec {sys.executable} "$@"\n')
    stand_in.chmod(0o755)
    done = call(tmp_path, seconds=1, python=stand_in)
    assert "time is over, call again" in done.communicate(timeout=60)[0]
    assert done.returncode == 0
    failed = call(tmp_path, seconds=250, runs="nothing:50", python=stand_in)
    text = failed.communicate(timeout=60)[0]
    assert "no recipe" in text
    assert "failed with exit code 2" in text
    assert failed.returncode == 1

"""`benchmarks/gpu.sh` at toy size on a CPU: it stops in time, goes on when called again, and counts its steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "gpu.sh"


def call(out: Path, seconds: int, epochs: int, runs: str = "digits:50") -> subprocess.CompletedProcess[str]:
    settings = {
        "OUT": str(out),
        "PYTHON": sys.executable,
        "RUNS": runs,
        "SECONDS_A_CALL": str(seconds),
        "OPTIONS": f"--device cpu --threads 1 --epochs {epochs} --channels-last --save-every 1",
    }
    return subprocess.run(["bash", str(SCRIPT)], env=os.environ | settings, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_it_resumes_between_calls_and_reports_failures(tmp_path: Path) -> None:
    lines = []
    for seconds in (10, 20, 40, 80, 160):  # 10 are enough on a quiet machine; a busy one is stopped and goes on
        done = call(tmp_path, seconds, 60)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [json.loads(line) for line in (tmp_path / "throughput.jsonl").read_text().splitlines()]
        if lines[-1]["exit"] == 0:
            break
    assert lines[-1]["step"] == 720
    assert sum(line["steps"] for line in lines) == 720
    assert "test/error" in (tmp_path / "summary.txt").read_text()
    failed = call(tmp_path, 60, 1, runs="nothing:50")
    assert failed.returncode == 1
    assert "no recipe is called" in failed.stdout

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from improved_gan.reproduction.subprocess_entry import stop_at_end_of


def test_it_asks_once_when_the_pipe_ends_and_not_before() -> None:
    ours, theirs = os.pipe()
    asked = threading.Event()
    thread = stop_at_end_of(ours, asked.set)
    os.write(theirs, b"still here")
    assert not asked.wait(0.1)
    os.close(theirs)
    assert asked.wait(5)
    thread.join(5)
    os.close(ours)


@pytest.mark.slow
def test_training_saves_and_ends_when_its_starter_is_killed(tmp_path: Path, quick_python: Path) -> None:
    run = tmp_path / "run"
    words = ["train", "digits", "--epochs", "100000", "--device", "cpu", "--threads", "1", "--out", str(run)]
    starter = (
        "import subprocess, sys, time\n"
        f"words = ['-m', 'improved_gan.reproduction.subprocess_entry', *{words!r}]\n"
        f"child = subprocess.Popen([{str(quick_python)!r}, *words],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "if any(line.startswith(b'epoch') for line in child.stdout):\n"
        "    print(child.pid, flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.kill()
    process.communicate()
    for _ in range(600):
        if not Path(f"/proc/{child}").exists() or Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            break
        threading.Event().wait(0.1)
    else:
        pytest.fail("the training outlived its starter")
    assert list((run / "checkpoints").glob("*.safetensors"))

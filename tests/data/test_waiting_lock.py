import subprocess
import sys
from pathlib import Path

import pytest

from improved_gan.data.waiting_lock import waiting_lock

HOLD = """
import sys
from pathlib import Path
from improved_gan.data.waiting_lock import waiting_lock
with waiting_lock(Path(sys.argv[1]), busy="busy"):
    print("held", flush=True)
    sys.stdin.readline()
    Path(sys.argv[1]).with_name("finished").touch()
"""


def test_the_other_process_is_waited_for_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        other.stdin.write("\n")
        other.stdin.close()
        with waiting_lock(tmp_path / ".lock", busy="waiting for the other"):
            assert (tmp_path / "finished").exists()
    assert capsys.readouterr().err in ("", "waiting for the other\n")


def test_it_is_free_again_after_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="inside"), waiting_lock(tmp_path / ".lock", busy="busy"):
        raise ValueError("inside")
    with waiting_lock(tmp_path / ".lock", busy="busy"):
        pass
    assert capsys.readouterr().err == ""

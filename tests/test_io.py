import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from improved_gan.io import write_atomically


def test_a_write_that_really_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """A file size limit makes the operating system itself refuse the bytes in the middle of the file."""
    (tmp_path / "file").write_bytes(b"old")
    program = (
        "import resource, signal, sys, pathlib\n"
        "from improved_gan.io import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomically(pathlib.Path(sys.argv[1]), b'x' * 5000)\n"
        "except OSError: sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "file")], check=False)
    assert done.returncode == 7
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_atomic_write_replaces(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        write_atomically(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1


def test_a_system_without_o_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Windows has no O_DIRECTORY and refuses to open a folder; the file is written all the same."""
    monkeypatch.delattr(os, "O_DIRECTORY", raising=False)
    monkeypatch.setattr(os, "open", None)
    write_atomically(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"

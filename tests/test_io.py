import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from improved_gan.io import write_atomically
from tests.command_line import fork_server


def write_too_much(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        write_atomically(path, b"x" * 5000)
    except OSError:
        sys.exit(7)


def test_a_write_that_really_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """A file size limit makes the operating system itself refuse the bytes in the middle of the file."""
    (tmp_path / "file").write_bytes(b"old")
    process = fork_server().Process(target=write_too_much, args=(tmp_path / "file",))
    process.start()
    process.join()
    assert process.exitcode == 7
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

import os
from pathlib import Path
from unittest import mock

import pytest

from improved_gan.kernels import cpp_extension


def ask(**environment: str) -> str:
    """Whether a process with these environment variables has the kernels, and why not."""
    with mock.patch.dict(os.environ, environment):
        library, reason = cpp_extension._load.__wrapped__()
    return f"{library is not None} | {reason}".strip()


needs_compiler = pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)


@needs_compiler
def test_compiled_once_and_kept(tmp_path: Path) -> None:
    assert ask(XDG_CACHE_HOME=str(tmp_path)) == "True |"
    (kept,) = (tmp_path / "improved-gan" / "native").iterdir()
    written = kept.stat().st_mtime_ns
    assert ask(XDG_CACHE_HOME=str(tmp_path)) == "True |"
    assert kept.stat().st_mtime_ns == written


def test_turned_off() -> None:
    assert ask(IMPROVED_GAN_NATIVE="0") == "False | IMPROVED_GAN_NATIVE=0"


def test_a_missing_compiler_is_the_reason(tmp_path: Path) -> None:
    assert ask(PATH=str(tmp_path), CXX="", XDG_CACHE_HOME=str(tmp_path)).startswith("False | no C++ compiler found")


def test_a_failing_compiler_is_the_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho no such flag >&2\nexit 1\n')
    broken.chmod(0o700)
    said = ask(CXX=str(broken), XDG_CACHE_HOME=str(tmp_path))
    assert said.startswith("False | ")
    assert "no such flag" in said


@needs_compiler
def test_a_cache_that_others_can_write_to_is_not_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "improved-gan" / "native"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    said = ask(XDG_CACHE_HOME=str(tmp_path))
    assert said.startswith("False | ")
    assert "can be written by others" in said


def test_a_system_without_user_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Windows: the rights of the user's own home folder decide."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delattr(os, "getuid", raising=False)
    assert cpp_extension._cache_folder().is_dir()

import os
from pathlib import Path
from unittest import mock

import pytest

from improved_gan.kernels import cpp_extension


def ask(**environment: str) -> str:
    """Whether a process with these environment variables has the kernels, and why not."""
    with mock.patch.dict(os.environ, {"IMPROVED_GAN_CACHE": "", **environment}):
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


@needs_compiler
def test_the_cache_of_this_package_comes_first(tmp_path: Path) -> None:
    environment = {"IMPROVED_GAN_CACHE": str(tmp_path / "own"), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert ask(**environment) == "True |"
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert [path.suffix for path in (tmp_path / "own" / "native").iterdir()] == [".so"]
    (tmp_path / "own" / "native").chmod(0o777)  # as another user's would be: not to be loaded from
    assert ask(**environment) == "True |"
    assert (tmp_path / "xdg" / "improved-gan" / "native").is_dir()


def test_without_a_home_directory_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o700)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", raising_home)
    said = ask(CXX=str(compiler))
    assert said.startswith("False | ")
    assert "there is no home directory: set IMPROVED_GAN_CACHE" in said


def raising_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


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
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path))
    monkeypatch.delattr(os, "getuid", raising=False)
    assert cpp_extension._cache_folder().is_dir()

"""The C++ kernels of this package, compiled once with the machine's own compiler into the user's cache.

Every caller has a fallback in PyTorch operations, so a missing compiler costs speed and nothing else. The file's name
has a hash of the sources, the compiler and the processor: another version or machine compiles again.
The folder is `native` in `IMPROVED_GAN_CACHE`, else in `improved-gan` under `XDG_CACHE_HOME` or `~/.cache`.
`IMPROVED_GAN_NATIVE=0` turns the kernels off.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["library", "unavailable_reason"]

_SOURCES = sorted(Path(__file__).parent.glob("*.cpp"))
_FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC", "-pthread")
# Tried in turn: GCC on x86, any compiler with OpenMP, one without.
_EXTRA_FLAGS = (("-fopenmp", "-mprefer-vector-width=512"), ("-fopenmp",), ())
_TIMEOUT_SECONDS = 120


def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they are unavailable (`unavailable_reason` says why)."""
    return _load()[0]


def unavailable_reason() -> str:
    """Why there are no compiled kernels, in one line; empty if there are."""
    return _load()[1]


@cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    if os.environ.get("IMPROVED_GAN_NATIVE", "1") == "0":
        return None, "IMPROVED_GAN_NATIVE=0"
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", ""), "g++", "clang++", "c++"))), None)
    if compiler is None:
        return None, "no C++ compiler found (g++, clang++ or $CXX)"
    try:
        return ctypes.CDLL(str(_compiled(compiler))), ""
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"{compiler} could not compile or load them: {error}".splitlines()[0]


def _compiled(compiler: str) -> Path:
    """The file of the compiled kernels, compiled now if it is not in the cache."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=_TIMEOUT_SECONDS).stdout
    parts = (
        *(source.read_bytes() for source in _SOURCES),
        version,
        repr((_FLAGS, _EXTRA_FLAGS)).encode(),
        _processor(),
    )
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    kept = _cache_folder() / f"kernels-{digest}.so"
    if not kept.is_file():
        # Renamed into place when whole: several processes may compile at the same time.
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            made = Path(folder) / kept.name
            _compile(compiler, made)
            made.replace(kept)
    return kept


def _compile(compiler: str, out: Path) -> None:
    for extra in _EXTRA_FLAGS:
        command = [compiler, *_FLAGS, *extra, *map(str, _SOURCES), "-o", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
        if done.returncode == 0:
            return
    raise OSError(done.stderr.strip() or f"exit code {done.returncode}")


def _cache_folder() -> Path:
    """A folder that only the user can write to: its content is loaded as code.

    Raises:
        OSError: there is none, and none can be made.
    """
    if os.environ.get("IMPROVED_GAN_CACHE"):
        with suppress(OSError):  # several users may share it, and the folder is another's
            return _private(Path(os.environ["IMPROVED_GAN_CACHE"]) / "native")
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise OSError("there is no home directory: set IMPROVED_GAN_CACHE to a folder of your own") from error
    return _private(root / "improved-gan" / "native")


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    user = getattr(os, "getuid", None)  # none on Windows, where the rights of the user's home decide
    if user is not None and (folder.stat().st_uid != user() or folder.stat().st_mode & 0o022):
        raise OSError(f"{folder} can be written by others: chmod 700 it, or set IMPROVED_GAN_CACHE")
    return folder


def _processor() -> bytes:
    """The processor's model and features, which -march=native depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(
            sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
        ).encode()
    return platform.processor().encode()

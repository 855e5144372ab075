"""The command line in the process of the test (`cli`), or in a process of its own that need not import torch (`start`).

A process that is started anew imports torch and our modules for 3 to 5 seconds of computing; those of `start` are forks
of one server that has imported them. They are processes as any other: they can be stopped, killed, and joined as ranks.
"""

import atexit
import contextlib
import io
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from unittest import mock

from improved_gan.cli import main

_PRELOAD = ["torch", "torch.distributed.run", "scipy.stats", "sklearn", "PIL.Image", "rich.console",
            "torch._dynamo", "torch.utils.tensorboard",  # each takes seconds, and every training needs both
            "improved_gan.recipes", "improved_gan.metrics", "improved_gan.cli.training",
            "improved_gan.turing_test.app", "improved_gan.turing_test.server",
            "tests.frozen"]  # fmt: skip


def cli(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """What `improved-gan WORDS` writes and its exit code; an error without a remedy for the user is raised."""
    command = ["improved-gan", *map(str, words)]
    code: int | str | None = 0
    with (
        contextlib.redirect_stdout(io.StringIO()) as screen,
        contextlib.redirect_stderr(io.StringIO()) as errors,
        mock.patch.object(sys, "argv", command),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    assert code is None or isinstance(code, int), code
    return subprocess.CompletedProcess(command, code or 0, screen.getvalue(), errors.getvalue())


def fork_server() -> ForkServerContext:
    """Starts processes that have torch and our modules already."""
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    return context


class Started:
    """A process with the interface of `subprocess.Popen`, as far as the tests need it."""

    def __init__(self, module: str, words: tuple[str, ...], environment: dict[str, str], python: str | Path) -> None:
        self._folder = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, self._folder)
        arguments = (module, words, {**os.environ, **environment}, str(python), os.getcwd(), str(self._folder))  # noqa: PTH109
        self._process = fork_server().Process(target=_serve, args=arguments)
        self._process.start()
        atexit.register(self._process.kill)
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"still running after {timeout} s")
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Standard output and standard error, once the process has ended."""
        self.wait(timeout)
        return (self._folder / "1").read_text(), (self._folder / "2").read_text()


def start(
    *words: str | Path,
    module: str = "improved_gan",
    environment: dict[str, str] | None = None,
    python: str | Path = sys.executable,
) -> Started:
    """`python -m MODULE WORDS` in a process of its own, which starts further ones of `python`."""
    return Started(module, tuple(map(str, words)), environment or {}, python)


def _serve(
    module: str, words: tuple[str, ...], environment: dict[str, str], python: str, folder: str, output: str
) -> None:
    sys.executable = python
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number in (1, 2):
        file = os.open(f"{output}/{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


@contextlib.contextmanager
def ranks(*words: str | Path, size: int = 2) -> Iterator[list[Started]]:
    """`improved-gan WORDS` in several processes as torchrun starts them, the key-value store kept by us as by it."""
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": str(size), "GROUP_RANK": "0",
              "TORCHELASTIC_USE_AGENT_STORE": "True", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}  # fmt: skip
    started = [start(*words, environment={**common, "RANK": str(n), "LOCAL_RANK": str(n)}) for n in range(size)]
    try:
        yield started
    finally:
        for one in started:
            one.kill()
            one.wait()


def end_as_torchrun_does(started: list[Started]) -> list[str]:
    """Wait for all; once one has ended with an error the others get SIGTERM. Returns what they wrote to stderr."""
    deadline = time.monotonic() + 250
    while any(one.poll() is None for one in started):
        assert time.monotonic() < deadline, "waited too long"
        if any(one.poll() for one in started):
            for one in started:
                one.send_signal(signal.SIGTERM)
            break
        time.sleep(0.02)
    return [one.communicate(250)[1] for one in started]

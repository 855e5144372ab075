"""What starts `python -m MODULE` or `python FILE.py` gets a process that has imported torch already.

Our commands start processes of their own, and each would import torch for 3 to 5 seconds of computing. `quick_python`
is a program in place of the interpreter: it sends its arguments, its variables and its open files to a thread of the
tests, which forks from the server of `command_line`, and it ends as the fork ends. What a test says about processes
holds as before: the fork has its own process number, files, session and signals, and its standard input ends with
whoever started it.
"""

import contextlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
from pathlib import Path

from tests.command_line import fork_server

_STUB = """#!{python}
import json, os, signal, socket, sys
if not (sys.argv[1:2] == ["-m"] or "".join(sys.argv[1:2]).endswith(".py")):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    content = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(line, [len(content).to_bytes(4, "big")], [0, 1, 2])
    line.sendall(content)
    with line.makefile() as answers:
        child = int(answers.readline())
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda number, _: os.kill(child, number))
        code = int(answers.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


class QuickPython:
    """The program is `path`; close it when the tests end."""

    def __init__(self, folder: Path) -> None:
        address = folder / "requests"
        self.path = folder / "python"
        self.path.write_text(_STUB.format(python=sys.executable, address=str(address)))
        self.path.chmod(0o755)
        self._context = fork_server()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._start, args=(line,), daemon=True).start()

    def _start(self, line: socket.socket) -> None:
        with line, line.makefile("rwb") as request:
            size, files, *_ = socket.recv_fds(line, 4, 3)
            words, variables, folder = json.loads(request.read(int.from_bytes(size, "big")))
            arguments = (_Files(files), words, variables, folder, str(self.path))
            process = self._context.Process(target=_run, args=arguments)
            process.start()
            for file in files:
                os.close(file)
            with contextlib.suppress(BrokenPipeError):  # a killed starter
                request.write(b"%d\n" % process.pid)
                request.flush()
                process.join()
                request.write(b"%d\n" % process.exitcode)


class _Files:
    """Open files that travel to a fork."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        from multiprocessing.reduction import DupFd

        return _received, tuple(DupFd(number) for number in self.numbers)


def _received(*files: object) -> list[int]:
    return [file.detach() for file in files]  # type: ignore[attr-defined]


def _run(files: list[int], words: list[str], variables: dict[str, str], folder: str, python: str) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_DFL if one is signal.SIGTERM else signal.default_int_handler)
    sys.executable = python  # what it starts in its turn
    sys.argv = words[1:] if words[0] == "-m" else words
    if words[0] == "-m":
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(words[0]).parent))
        runpy.run_path(words[0], run_name="__main__")

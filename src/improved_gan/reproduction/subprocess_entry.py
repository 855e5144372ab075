"""A process that trains one run and does not outlive its parent process.

`python -m improved_gan.reproduction.subprocess_entry train ...` is `improved-gan train ...`, except that the end of
its standard input makes it save and stop, as SIGTERM does. The pipe ends when the parent closes it or dies, so that a
killed worker leaves no training process that holds the lock on the run folder, and another worker can continue the run.
"""

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable

__all__ = ["stop_at_end_of"]


def stop_at_end_of(pipe: int, stop: Callable[[], None]) -> threading.Thread:
    """Call `stop` once, from a thread, when the file descriptor `pipe` reaches its end."""

    def watch() -> None:
        while os.read(pipe, 1024):
            pass
        stop()

    thread = threading.Thread(target=watch, daemon=True, name="parent-watch")
    thread.start()
    return thread


def _ask_to_stop() -> None:
    """SIGTERM to this process; on Windows `os.kill` would end it at once, so the signal is raised in the process."""
    if os.name == "nt":
        signal.raise_signal(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)  # also interrupts a blocking call of the main thread


def _main() -> None:
    # The process has its own session: Ctrl-C at the terminal reaches the parent only.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_at_end_of(sys.stdin.fileno(), _ask_to_stop)
    runpy.run_module("improved_gan", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()

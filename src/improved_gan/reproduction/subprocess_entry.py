"""A process that trains one run and does not outlive the one that started it.

`python -m improved_gan.reproduction.subprocess_entry train ...` is `improved-gan train ...`, except that the end of its
standard input asks it to save and stop, as SIGTERM does. The pipe ends when the parent closes it or dies in any way, so
a killed worker leaves no training process behind that holds the run folder, and its successor can resume the run.
"""

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable

__all__ = ["stop_at_end_of"]


def stop_at_end_of(pipe: int, stop: Callable[[], None]) -> threading.Thread:
    """Call `stop` once when nothing more can come from the file descriptor `pipe`; watches from a thread."""

    def watch() -> None:
        while os.read(pipe, 1024):
            pass
        stop()

    thread = threading.Thread(target=watch, daemon=True, name="watches the starter")
    thread.start()
    return thread


def _ask_to_stop() -> None:
    """SIGTERM to this process; on Windows `os.kill` would end it at once, so the handler is called within."""
    if os.name == "nt":
        signal.raise_signal(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)  # wakes the main thread from whatever it waits for


def _main() -> None:
    # A process group of its own has no terminal to be interrupted from; one signal, from the thread, is all it gets.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_at_end_of(sys.stdin.fileno(), _ask_to_stop)
    runpy.run_module("improved_gan", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()

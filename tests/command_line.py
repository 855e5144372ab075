"""The command line within the process of the test: a process of its own would import torch each time."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from unittest import mock

from improved_gan.cli import main


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

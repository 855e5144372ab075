"""`--trust`: whether code that a run names may be executed; asked at a terminal.

That is its recipe file, or the module of its network. Imports nothing slow.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["trust_or_ask"]


def trust_or_ask(console: "Console", *, trust: bool) -> Callable[[Path, str], bool]:
    """The callback that `Run.load` asks: yes with --trust, else the user's answer at a terminal, else no.

    Each file is asked about once; a line names each file that is executed.
    """
    from improved_gan.console import say
    from improved_gan.distributed import world_size

    answers: dict[str, bool] = {}

    def decide(file: Path, digest: str) -> bool:
        if digest not in answers:
            answers[digest] = trust or (world_size() == 1 and _answer(file, digest))
            if answers[digest]:
                say(console, f"executing {file} (SHA-256 {digest[:12]}), which the run names")
        return answers[digest]

    return decide


def _answer(file: Path, digest: str) -> bool:
    """The answer at a terminal; no if there is no terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return click.confirm(f"Execute the Python file {file} (SHA-256 {digest[:12]})?", default=False, err=True)

"""`--trust`: whether the recipe file that a run keeps may be executed; asked at a terminal. Imports nothing slow."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["TrustOption", "trust_or_ask"]

TrustOption = Annotated[
    bool, typer.Option("--trust", help="Execute the recipe file (Python) that a run keeps, where it came from one.")
]


def trust_or_ask(console: "Console", *, trust: bool) -> Callable[[Path, str], bool]:
    """What `load_trained` asks: yes with --trust, else what the user answers at a terminal, else no.

    Each file is asked about once; what is executed is said.
    """
    from improved_gan.distributed import world_size
    from improved_gan.training.reporting import say

    answers: dict[str, bool] = {}

    def decide(file: Path, digest: str) -> bool:
        if digest not in answers:
            answers[digest] = trust or (world_size() == 1 and _answer(file, digest))
            if answers[digest]:
                say(console, f"executing {file} (SHA-256 {digest[:12]}), the recipe file that the run keeps")
        return answers[digest]

    return decide


def _answer(file: Path, digest: str) -> bool:
    """Yes or no at a terminal; no where there is none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return typer.confirm(f"Execute the Python file {file} (SHA-256 {digest[:12]})?", default=False, err=True)

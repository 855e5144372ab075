"""`improved-gan theory`: the paper's claims, computed and drawn."""

from pathlib import Path

from rich.console import Console

from improved_gan.theory import show

__all__ = ["TheoryError", "run_theory"]


class TheoryError(ValueError):
    """A demonstration that does not exist or cannot be drawn; the message says what to do."""


def run_theory(name: str, *, out: Path, seed: int, console: Console) -> None:
    """Run one demonstration, write its plots and tables, and print a summary.

    Raises:
        TheoryError: unknown name, negative seed, or no matplotlib.
    """
    try:
        shown = show(name, out, seed=seed)
    except (ValueError, ModuleNotFoundError) as error:
        raise TheoryError(str(error)) from error
    console.print(shown.text, highlight=False, markup=False, soft_wrap=True)
    for file in shown.files:
        console.print(f"written: {file}", highlight=False, markup=False, soft_wrap=True)

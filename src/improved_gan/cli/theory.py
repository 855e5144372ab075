"""`improved-gan theory`: the paper's claims, computed and drawn."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from improved_gan.cli.options import argument, option
from improved_gan.cli.shared import MAX_SEED

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["TheoryError", "TheoryOptions", "theory"]


class TheoryError(ValueError):
    """A demonstration that does not exist or cannot be drawn; the message says what to do."""


@dataclass(frozen=True)
class TheoryOptions:
    """The options of `theory`."""

    name: str = argument(help="game, divergences, smoothed-discriminator or mode-collapse.")
    out: Path = option(help="Folder for the PNG and CSV files.", written="folder")
    seed: int = option(0, help="Random seed.", min=0, max=MAX_SEED)


def theory(options: TheoryOptions, console: "Console") -> None:
    """Demonstrate one of the paper's claims: writes PNG and CSV files and a summary. Takes under a minute.

    Example: `improved-gan theory game --out theory`.
    """
    from improved_gan.theory.demos import show

    try:
        shown = show(options.name, options.out, seed=options.seed)
    except (ValueError, ModuleNotFoundError) as error:
        raise TheoryError(str(error)) from error
    console.print(shown.text, highlight=False, markup=False, soft_wrap=True)
    for file in shown.files:
        console.print(f"written: {file}", highlight=False, markup=False, soft_wrap=True)

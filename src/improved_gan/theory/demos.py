"""The demonstrations by name, for `improved-gan theory NAME --out DIR --seed S`.

Each writes one or two PNG files and its numbers as CSV into a folder and returns a text that explains them; the same
seed gives the same files. Each takes well under a minute on two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from improved_gan.theory.divergences_demo import divergences_demo
from improved_gan.theory.game_demo import game_demo
from improved_gan.theory.mode_collapse_demo import mode_collapse_demo
from improved_gan.theory.smoothed_discriminator_demo import smoothed_discriminator_demo

__all__ = ["DEMOS", "Demo", "show"]

DEMOS: dict[str, Callable[[Path, int], tuple[list[Path], str]]] = {
    "game": game_demo,
    "divergences": divergences_demo,
    "smoothed-discriminator": smoothed_discriminator_demo,
    "mode-collapse": mode_collapse_demo,
}


@dataclass(frozen=True)
class Demo:
    """The files that were written, the first of them a PNG figure, and a text that explains them."""

    files: tuple[Path, ...]
    text: str


def show(name: str, out: str | Path, *, seed: int = 0) -> Demo:
    """Run one demonstration and write its figures and tables.

    Args:
        name: one of `DEMOS`.
        out: folder to write to, created if it does not exist; files of the same names are replaced.
        seed: of all random numbers, >= 0.

    Raises:
        ValueError: an unknown name (the message has the nearest ones) or a negative seed.
        ModuleNotFoundError: matplotlib is missing; the message has the command that installs it.

    >>> list(DEMOS)
    ['game', 'divergences', 'smoothed-discriminator', 'mode-collapse']
    """
    if name not in DEMOS:
        near = get_close_matches(name, DEMOS, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"no demonstration is called {name!r}: {hint}There are {', '.join(DEMOS)}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more; got {seed}")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    files, text = DEMOS[name](folder, seed)
    return Demo(tuple(files), text)

"""The size that all pictures of a study are shown in, so that size does not give the answer away."""

from dataclasses import dataclass
from pathlib import Path

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.pictures import picture_size

__all__ = ["MAX_SIDE", "MIN_SIDE", "ShownSize", "by", "choose_size", "given_size"]

MIN_SIDE, MAX_SIDE = 4, 1024
CHOSEN_SIDE = 512  # at most, where nobody gave a size: about what the judge's page has room for


@dataclass(frozen=True)
class ShownSize:
    """How large pictures are shown; `side` is that of the square they are cut to, None where they stay as they are."""

    width: int
    height: int
    side: int | None
    enlarge: bool = True
    told: str = ""


def given_size(size: int) -> ShownSize:
    """The square that the researcher asked for; smaller pictures are enlarged."""
    return ShownSize(size, size, size)


def choose_size(drawn: dict[str, list[Path]], most: int) -> ShownSize:
    """As they are, where all have one size; else the largest square that enlarges none of them.

    A few small ones do not decide for all: of each condition the smallest twentieth is left out instead.

    Args:
        drawn: of each condition the files in the order in which they are read.
        most: pictures taken of each condition at most.

    Raises:
        TuringTestError: the pictures are too small to be shown.
    """
    found = {name: _sizes(files, most) for name, files in drawn.items()}
    sizes = {one for some in found.values() for one in some}
    if not sizes:
        return ShownSize(MIN_SIDE, MIN_SIDE, MIN_SIDE)  # nothing can be read: told of each file by `_read_some`
    smallest, largest = min(sizes, key=min), max(sizes, key=max)
    if len(sizes) == 1 and min(smallest) >= MIN_SIDE and max(largest) <= MAX_SIDE:
        return ShownSize(*smallest, side=None)
    sides = {name: sorted(min(one) for one in some) for name, some in found.items() if some}
    side = min(CHOSEN_SIDE, *(some[len(some) // 20] for some in sides.values()))
    if side < MIN_SIDE:
        raise TuringTestError(
            f"a picture has {'x'.join(map(str, smallest))} pixels: use --size with {MIN_SIDE} or more"
        )
    small = sum(one < side for some in sides.values() for one in some)
    told = (
        f"pictures have {len(sizes)} sizes ({by(smallest)} to {by(largest)} pixels), and size gives the answer away: "
        f"of each the middle square is shown, scaled to {side}x{side} pixels (--size chooses another)"
        + (f"; {small} smaller ones are left out" if small else "")
    )
    return ShownSize(side, side, side, enlarge=False, told=told)


def _sizes(files: list[Path], most: int) -> list[tuple[int, int]]:
    """The sizes of the pictures that will be read, by their headers."""
    found: list[tuple[int, int]] = []
    for file in files:
        if len(found) == most:
            break
        size = picture_size(file)
        if size is not None:
            found.append(size)
    return found


def by(size: tuple[int, int]) -> str:
    """As it is told: 640x480."""
    return f"{size[0]}x{size[1]}"

"""The pictures of a study from folders, in one size and format, and warnings of differences that remain."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.pictures import (
    Picture,
    Refused,
    dim_warning,
    encode,
    false_picture,
    find_files,
    pad,
    picture_size,
    read_picture,
    to_square,
)
from improved_gan.turing_test.top_share import prompt_of, read_prompts, read_scores, top_files
from improved_gan.turing_test.votes import CHECK, REAL

__all__ = [
    "MAX_SIDE",
    "MIN_SIDE",
    "Collected",
    "PreparedPicture",
    "ShownSize",
    "StudyFolders",
    "by",
    "choose_size",
    "collect",
    "given_size",
]

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


@dataclass(frozen=True)
class PreparedPicture:
    """The file that a picture came from, relative to its folder, and its bytes as judges get them."""

    file: str
    png: bytes
    prompt: str | None = None


@dataclass(frozen=True)
class _Chosen:
    """A picture as it will be shown, and its file's format; the decoded file (50 MB for 12 MP) is not kept."""

    file: str
    png: bytes
    original_size: tuple[int, int]
    source_format: str
    is_gray: bool
    peak: int | None


@dataclass(frozen=True)
class Collected:
    """The conditions of a study with their pictures, what was refused, and what the researcher should know."""

    conditions: dict[str, list[PreparedPicture]]
    refused: list[Refused]
    warnings: list[str]
    width: int
    height: int


@dataclass(frozen=True)
class StudyFolders:
    """Where the pictures come from.

    Args:
        real: folder of real pictures; preference: None, or real pictures as one of the models.
        generated: folder of each generator's pictures, by its name.
        most: pictures taken of each folder at most, drawn at random.
        size: pixels of the side that all pictures are cut and scaled to; None: as they are where they have one size,
            else the largest square that enlarges none (a few small ones are left out instead).
        scores: for each of `top` a file of scores (`top_share.read_scores`).
        top: share of the best-scoring pictures that a generator is represented by.
        prompts: CSV table with `file` and `prompt`; the prompt is shown beside the picture, and pictures that are shown
            together have the same one.
    """

    real: Path | None
    generated: dict[str, Path]
    most: int = 500
    size: int | None = None
    scores: dict[str, Path] = field(default_factory=dict)
    top: dict[str, float] = field(default_factory=dict)
    prompts: Path | None = None


def collect(source: StudyFolders, *, checks: int, seed: int) -> Collected:
    """Gather all pictures, and as many false ones as `checks`.

    Raises:
        TuringTestError: names or folders that do not fit, no picture in one, or one that is both real and generated.
    """
    real, generated, most, size = source.real, source.generated, source.most, source.size
    _check_names(generated, source.scores, source.top)
    folders = ({} if real is None else {REAL: real}) | generated
    if real is not None:
        _check_folders(real, generated)
    if most < 1 or (size is not None and not MIN_SIDE <= size <= MAX_SIDE):
        raise TuringTestError(f"needs a picture of each kind, and a size of {MIN_SIDE} to {MAX_SIDE} pixels")
    refused: list[Refused] = []
    drawn: dict[str, list[Path]] = {}
    for name, folder in folders.items():
        files, bad = find_files(folder)
        refused += [Refused(f"{folder}/{one.file}", one.reason) for one in bad]
        if name in source.top and files:
            files = top_files(files, read_scores(source.scores[name]), source.top[name])
        order = np.random.default_rng((seed, 4, len(drawn))).permutation(len(files))
        drawn[name] = [files[index] for index in order]
    shown = given_size(size) if size else choose_size(drawn, most)
    found: dict[str, list[_Chosen]] = {}
    for name, folder in folders.items():
        pictures, bad = _read_some(drawn[name], most, shown)
        refused += bad
        if not pictures:
            reason = f" ({refused[-1].file}: {refused[-1].reason})" if refused else ""
            raise TuringTestError(f"{folder} holds no picture that can be used{reason}")
        found[name] = pictures
    warnings = [shown.told] if shown.told else []
    warnings += _check_copies(found, source.top)
    warnings += [words for name, some in found.items() for words in dim_warning(name, [one.peak for one in some])]
    width, height = shown.width, shown.height
    conditions = _prepared(found, folders, source.prompts, _false_pictures(width, height, checks, seed))
    return Collected(
        conditions,
        refused,
        [*warnings, *(_differences(found, (width, height)) if REAL in found else [])],
        width,
        height,
    )


def _false_pictures(width: int, height: int, number: int, seed: int) -> list[bytes]:
    """Blatantly false pictures for attention checks, as PNG."""
    return [encode(false_picture(width, height, seed=seed + k)) for k in range(number)]


def _prepared(
    found: dict[str, list[_Chosen]], folders: dict[str, Path], prompts: Path | None, checks: list[bytes]
) -> dict[str, list[PreparedPicture]]:
    """The pictures as judges get them, all with the same number of bytes, and the text beside each."""
    beside = read_prompts(prompts) if prompts is not None else {}
    encoded = {
        name: [
            (Path(one.file).relative_to(folders[name]).as_posix(), one.png,
             prompt_of(Path(one.file), beside) if beside else None) for one in pictures
        ]
        for name, pictures in found.items()
    }  # fmt: skip
    if checks:
        encoded[CHECK] = [(f"check {k}", png, None) for k, png in enumerate(checks)]
    length = 12 + max(len(png) for pictures in encoded.values() for _, png, _ in pictures)
    return {
        name: [PreparedPicture(file, pad(png, length), prompt) for file, png, prompt in some]
        for name, some in encoded.items()
    }


def _check_names(generated: dict[str, Path], scores: dict[str, Path], top: dict[str, float]) -> None:
    if not generated:
        raise TuringTestError("a study needs at least one folder of generated pictures: --generated FOLDER")
    for name in generated:
        if name in (REAL, CHECK) or not name or len(name) > 100 or not name.isprintable():
            raise TuringTestError(f"a generator cannot be called {name!r}: give another NAME=FOLDER")
    for name in {*scores, *top}:
        if name not in generated or name not in scores or name not in top:
            raise TuringTestError(
                f"{name}: --top NAME=SHARE, --scores NAME=FILE and --generated NAME=FOLDER go together"
            )


def _check_folders(real: Path, generated: dict[str, Path]) -> None:
    """A picture is real or generated: no folder of one kind lies in one of the other. Two models may share pictures."""
    inside = real.resolve()
    generated = {name: folder for name, folder in generated.items() if real.is_dir() and folder.is_dir()}
    for name, folder in generated.items():
        other = folder.resolve()
        if other == inside:
            raise TuringTestError(f"{folder} is the folder of real pictures and of {name}: give each its own")
        if other.is_relative_to(inside) or inside.is_relative_to(other):
            inner, outer = (folder, real) if other.is_relative_to(inside) else (real, folder)
            raise TuringTestError(
                f"{inner} lies inside {outer}, so its pictures would be real and of {name} at once: give each kind a "
                "folder of its own, none inside the other"
            )


def _check_copies(found: dict[str, list[_Chosen]], top: dict[str, float]) -> Iterable[str]:
    """Whether pictures, as they are shown, are the same: in both kinds an error, else a warning.

    The best-scoring pictures of a model (`top`) may be shown beside all of them: the same files are then as asked for.
    """
    first: dict[str, dict[bytes, str]] = {}
    for name, pictures in found.items():
        own = first.setdefault(name, {})
        copies = [(one.file, own[one.png]) for one in pictures if own.setdefault(one.png, one.file) != one.file]
        if copies:
            yield (
                f"{len(copies)} pictures of {name} are copies of others, as {copies[0][0]} of {copies[0][1]}: judges "
                "may recognize them"
            )
        both = [(file, first[REAL][png]) for png, file in own.items() if name != REAL and png in first.get(REAL, {})]
        if both:
            raise TuringTestError(
                f"{len(both)} pictures are real and of {name} at once, as {both[0][1]} and {both[0][0]}, so no answer "
                "to them is right: remove them from one of the folders"
            )
        for other in sorted(set(first) - {name, REAL}):
            both = [(file, first[other][png]) for png, file in own.items() if png in first[other]]
            asked = name in top or other in top
            same = [(one, two) for one, two in both if not asked or Path(one).resolve() != Path(two).resolve()]
            if same:
                yield (
                    f"{len(same)} pictures of {name} are pictures of {other} too, as {same[0][0]} and {same[0][1]}: "
                    "judges who see both may recognize them"
                )


def _read_some(files: list[Path], most: int, size: ShownSize) -> tuple[list[_Chosen], list[Refused]]:
    """The first `most` readable pictures, each cut to size at once: one is held decoded at a time."""
    chosen: list[_Chosen] = []
    refused: list[Refused] = []
    for file in files:
        if len(chosen) == most:
            break
        try:
            picture = read_picture(file)
            chosen.append(_cut(picture, size))
            del picture
        except (TuringTestError, OSError) as error:
            refused.append(Refused(str(file), str(error)))
    return chosen, refused


def _cut(picture: Picture, size: ShownSize) -> _Chosen:
    image = picture.image
    if size.side is None and image.size != (size.width, size.height):
        raise TuringTestError(f"{by(image.size)} pixels, and the others have {size.width}x{size.height}")
    if size.side is not None and not size.enlarge and min(image.size) < size.side:
        raise TuringTestError(f"{by(image.size)} pixels: smaller than the {size.side} that are shown")
    png = encode(image if size.side is None else to_square(image, size.side))
    return _Chosen(picture.file, png, image.size, picture.source_format, picture.is_gray, picture.peak)


def _differences(found: dict[str, list[_Chosen]], size: tuple[int, int]) -> Iterable[str]:
    """Warnings of differences by which judges could tell the kinds apart whatever the generator's quality."""

    def share(name: str, test: Iterable[bool]) -> float:
        return sum(test) / len(found[name])

    for name in found:
        if name == REAL:
            continue
        lossy = [share(one, (p.source_format in ("JPEG", "WEBP") for p in found[one])) for one in (REAL, name)]
        if abs(lossy[0] - lossy[1]) > 0.5:
            yield (
                f"{'real pictures' if lossy[0] > lossy[1] else name} come from JPEG or WebP files, the others do not: "
                + ("compression leaves marks that judges can learn; save both in the same way")
            )
        gray = [share(one, (p.is_gray for p in found[one])) for one in (REAL, name)]
        if abs(gray[0] - gray[1]) > 0.25:
            yield f"{gray[0]:.0%} of the real pictures are gray, but {gray[1]:.0%} of {name}"
        scaled = [share(one, (p.original_size != size for p in found[one])) for one in (REAL, name)]
        if abs(scaled[0] - scaled[1]) > 0.5:
            yield f"only the {'real pictures' if scaled[0] > scaled[1] else name} are scaled to size, which blurs: " + (
                "judges can learn that; scale both from the same size"
            )
        if len(found[name]) < 20 or len(found[REAL]) < 20:
            yield f"few pictures ({len(found[REAL])} real, {len(found[name])} {name}): judges may recognize them"

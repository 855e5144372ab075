"""The pictures of a study, gathered from folders: chosen, made alike; and what could still tell them apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.pictures import (
    Picture,
    Refused,
    encode,
    false_picture,
    find_files,
    pad,
    read_picture,
    to_square,
)
from improved_gan.turing_test.plan import CHECK
from improved_gan.turing_test.top_share import read_scores, top_files
from improved_gan.turing_test.votes import REAL

__all__ = ["Collected", "PreparedPicture", "collect"]

MIN_SIDE, MAX_SIDE = 4, 1024


@dataclass(frozen=True)
class PreparedPicture:
    """The file that a picture came from, relative to its folder, and its bytes as judges get them."""

    file: str
    png: bytes


@dataclass(frozen=True)
class _Chosen:
    """A picture as it will be shown, and what its file was; the decoded file itself (50 MB for 12 MP) is let go."""

    file: str
    png: bytes
    original_size: tuple[int, int]
    source_format: str
    is_grey: bool


@dataclass(frozen=True)
class Collected:
    """The conditions of a study with their pictures, what was refused, and what the researcher should know."""

    conditions: dict[str, list[PreparedPicture]]
    refused: list[Refused]
    warnings: list[str]
    width: int
    height: int


def collect(
    real: Path,
    generated: dict[str, Path],
    *,
    most: int,
    size: int | None,
    scores: dict[str, Path],
    top: dict[str, float],
    checks: int,
    seed: int,
) -> Collected:
    """Gather all pictures; arguments as in `studies.StudyFolders`.

    Raises:
        TuringTestError: names or folders that do not fit, no picture in one, or pictures of several sizes.
    """
    _check_names(generated, scores, top)
    for name, folder in generated.items():
        if real.is_dir() and folder.resolve() == real.resolve():
            raise TuringTestError(f"{folder} is the folder of real pictures and of {name}: give each its own")
    if most < 1 or (size is not None and not MIN_SIDE <= size <= MAX_SIDE):
        raise TuringTestError(f"needs a picture of each kind, and a size of {MIN_SIDE} to {MAX_SIDE} pixels")
    refused: list[Refused] = []
    found: dict[str, list[_Chosen]] = {}
    for name, folder in {REAL: real, **generated}.items():
        files, bad = find_files(folder)
        refused += [Refused(f"{folder}/{one.file}", one.reason) for one in bad]
        if name in top and files:
            files = top_files(files, read_scores(scores[name]), top[name])
        pictures, bad = _read_some(files, most, size, np.random.default_rng((seed, 4, len(found))))
        refused += bad
        if not pictures:
            reason = f" ({refused[-1].file}: {refused[-1].reason})" if refused else ""
            raise TuringTestError(f"{folder} holds no picture that can be used{reason}")
        found[name] = pictures
    width, height = (size, size) if size else _common_size(found)
    folders = {REAL: real, **generated}
    encoded = {
        name: [(Path(one.file).relative_to(folders[name]).as_posix(), one.png) for one in pictures]
        for name, pictures in found.items()
    }
    if checks:
        encoded[CHECK] = [(f"check {k}", encode(false_picture(width, height, seed=seed + k))) for k in range(checks)]
    length = 12 + max(len(png) for pictures in encoded.values() for _, png in pictures)
    return Collected(
        {name: [PreparedPicture(file, pad(png, length)) for file, png in some] for name, some in encoded.items()},
        refused,
        list(_differences(found, (width, height))),
        width,
        height,
    )


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


def _read_some(
    files: list[Path], most: int, size: int | None, generator: np.random.Generator
) -> tuple[list[_Chosen], list[Refused]]:
    """Up to `most` readable pictures, in random order, each cut to size at once: one is held decoded at a time."""
    chosen: list[_Chosen] = []
    refused: list[Refused] = []
    for index in generator.permutation(len(files)):
        if len(chosen) == most:
            break
        try:
            picture = read_picture(files[index])
        except (TuringTestError, OSError) as error:
            refused.append(Refused(str(files[index]), str(error)))
            continue
        chosen.append(_cut(picture, size))
        del picture
    return chosen, refused


def _cut(picture: Picture, size: int | None) -> _Chosen:
    width, height = picture.image.size
    if size is None and not (min(width, height) >= MIN_SIDE and max(width, height) <= MAX_SIDE):
        raise TuringTestError(f"{picture.file} has {width}x{height} pixels: use --size with {MIN_SIDE} to {MAX_SIDE}")
    png = encode(to_square(picture.image, size) if size else picture.image)
    return _Chosen(picture.file, png, (width, height), picture.source_format, picture.is_grey)


def _common_size(found: dict[str, list[_Chosen]]) -> tuple[int, int]:
    sizes = {
        one.original_size: f"{one.file} ({'x'.join(map(str, one.original_size))})"
        for some in found.values() for one in some
    }  # fmt: skip
    if len(sizes) > 1:
        raise TuringTestError(
            f"pictures have {len(sizes)} sizes, as {' and '.join(list(sizes.values())[:2])}, and size gives the answer "
            "away: cut and scale them all with --size PIXELS"
        )
    return next(iter(sizes))


def _differences(found: dict[str, list[_Chosen]], size: tuple[int, int]) -> Iterable[str]:
    """What judges could go by that is no merit of the generator."""

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
        grey = [share(one, (p.is_grey for p in found[one])) for one in (REAL, name)]
        if abs(grey[0] - grey[1]) > 0.25:
            yield f"{grey[0]:.0%} of the real pictures are grey, but {grey[1]:.0%} of {name}"
        scaled = [share(one, (p.original_size != size for p in found[one])) for one in (REAL, name)]
        if abs(scaled[0] - scaled[1]) > 0.5:
            yield f"only the {'real pictures' if scaled[0] > scaled[1] else name} are scaled to size, which blurs: " + (
                "judges can learn that; scale both from the same size"
            )
        if len(found[name]) < 20 or len(found[REAL]) < 20:
            yield f"few pictures ({len(found[REAL])} real, {len(found[name])} {name}): judges may recognise them"

from pathlib import Path

import pytest
from PIL import Image

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.shown_size import choose_size, given_size


def drawn(folder: Path, *conditions: list[tuple[int, int]]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for name, sizes in zip("rgb", conditions, strict=False):
        found[name] = []
        for k, size in enumerate(sizes):
            found[name].append(folder / f"{name}{k}.png")
            Image.new("RGB", size).save(found[name][-1])
    return found


@pytest.mark.parametrize(
    ("real", "generated", "expected"),
    [
        ([(30, 20)] * 3, [(30, 20)], (30, 20, None)),  # alike: as they are
        ([(30, 20), (20, 30)], [(30, 20)], (20, 20, 20)),
        ([(1025, 30)] * 2, [(1025, 30)], (30, 30, 30)),  # alike, but too large to show
        ([(700, 900), (800, 600)], [(640, 640)], (512, 512, 512)),
        ([(100, 90)] * 39 + [(10, 10)], [(64, 64)], (64, 64, 64)),  # one small one of forty does not decide
        ([(100, 90)] * 9 + [(10, 10)], [(64, 64)], (10, 10, 10)),
    ],
)
def test_the_largest_size_that_enlarges_none(tmp_path: Path, real, generated, expected) -> None:
    found = choose_size(drawn(tmp_path, real, generated), 500)
    assert (found.width, found.height, found.side) == expected
    assert bool(found.told) == (expected[2] is not None)


def test_a_turned_photograph_has_the_size_that_is_seen(tmp_path: Path) -> None:
    files = drawn(tmp_path, [(30, 20)], [(30, 20)])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 30)).save(tmp_path / "turned.jpg", exif=exif)
    files["r"].append(tmp_path / "turned.jpg")
    assert choose_size(files, 500).side is None


def test_only_what_is_read_counts_and_dots_are_refused(tmp_path: Path) -> None:
    files = drawn(tmp_path, [(30, 20), (9, 9)], [(30, 20)])
    assert choose_size(files, 1).side is None
    (tmp_path / "x.png").write_bytes(b"no picture")
    assert choose_size({"r": [tmp_path / "x.png"]}, 5).told == ""
    with pytest.raises(TuringTestError, match="3x3 pixels: use --size"):
        choose_size(drawn(tmp_path, [(3, 3), (9, 9)]), 5)
    assert given_size(9).enlarge

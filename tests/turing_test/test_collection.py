import io
import json
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from improved_gan.turing_test import collection
from improved_gan.turing_test.collection import StudyFolders, choose_size, collect, given_size
from improved_gan.turing_test.errors import TuringTestError


def gather(real: Path, generated: dict[str, Path], **more):
    checks, seed = more.pop("checks", 2), more.pop("seed", 0)
    return collect(StudyFolders(real, generated, **more), checks=checks, seed=seed)


def test_every_picture_has_the_same_number_of_bytes(folders) -> None:
    found = gather(folders.real, folders.generated, most=7)
    assert {name: len(some) for name, some in found.conditions.items()} == {"real": 7, "a": 7, "b": 7, "check": 2}
    assert len({len(one.png) for some in found.conditions.values() for one in some}) == 1
    assert (found.width, found.height, found.refused) == (8, 8, [])


def test_bad_files_are_listed_and_the_rest_is_used(tmp_path: Path, folders) -> None:
    (tmp_path / "g").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "g" / "good.png")
    (tmp_path / "g" / "bad.png").write_bytes(b"no picture")
    found = gather(folders.real, {"g": tmp_path / "g"})
    assert [Path(one.file).name for one in found.conditions["g"]] == ["good.png"]
    assert [Path(one.file).name for one in found.refused] == ["bad.png"]


def test_what_gives_the_answer_away_is_refused_or_told(tmp_path: Path, folders) -> None:
    (tmp_path / "g").mkdir()
    for k in range(20):
        Image.new("L", (16, 16), 10 * k).save(tmp_path / "g" / f"{k}.jpg")
    warnings = " ".join(gather(folders.real, {"g": tmp_path / "g"}, size=8).warnings)
    for words in ("JPEG", "gray", "scaled to size"):
        assert words in warnings
    assert gather(folders.real, folders.generated).warnings == []


def test_the_best_scoring_share(tmp_path: Path, folders) -> None:
    scores = {f"a-{k}.png": float(k) for k in range(30)}
    (tmp_path / "s.json").write_text(json.dumps(scores))
    found = gather(folders.real, folders.generated, scores={"a": tmp_path / "s.json"}, top={"a": 0.1})
    assert {Path(one.file).name for one in found.conditions["a"]} == {"a-29.png", "a-28.png", "a-27.png"}


@pytest.mark.parametrize("words", [{"generated": {}}, {"generated": {"real": "x"}}, {"top": {"a": 0.1}}, {"most": 0}])
def test_words_that_do_not_fit(folders, words) -> None:
    generated = {k: Path(v) for k, v in words.pop("generated", folders.generated).items()}
    with pytest.raises(TuringTestError):
        gather(folders.real, generated, **words)


def test_a_file_is_named_within_its_folder(folders) -> None:
    names = {one.file for one in gather(folders.real, folders.generated).conditions["real"]}
    assert names == {f"real-{k}.png" for k in range(30)}


def test_real_pictures_are_not_generated_ones_too(folders) -> None:
    with pytest.raises(TuringTestError, match="is the folder of real pictures and of b"):
        gather(folders.real, {"a": folders.generated["a"], "b": folders.real / ".." / "real"})


def test_large_pictures_are_not_held_all_at_once(folders, monkeypatch: pytest.MonkeyPatch) -> None:
    images: list[weakref.ref] = []
    held = []

    def read(path: Path, real=collection.read_picture):
        held.append(sum(one() is not None for one in images))
        picture = real(path)
        images.append(weakref.ref(picture.image))
        return picture

    monkeypatch.setattr(collection, "read_picture", read)
    gather(folders.real, folders.generated, size=4)
    assert len(held) == 90
    assert max(held) == 0


def noise(path: Path, width: int, height: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)


def test_photographs_of_many_sizes_are_shown_alike_and_that_is_told(tmp_path: Path) -> None:
    for k in range(40):
        noise(tmp_path / "r" / f"{k}.png", 70 + k, 109 - k, k)
        noise(tmp_path / "g" / f"{k}.png", 64, 64, 100 + k)
    noise(tmp_path / "r" / "small.png", 20, 90, 7)
    found = gather(tmp_path / "r", {"g": tmp_path / "g"})
    assert (found.width, found.height) == (64, 64)
    pictures = [one for some in found.conditions.values() for one in some]
    assert {Image.open(io.BytesIO(one.png)).size for one in pictures} == {(64, 64)}
    assert [(Path(one.file).name, one.reason) for one in found.refused] == [
        ("small.png", "20x90 pixels: smaller than the 64 that are shown")
    ]
    told = found.warnings[0]
    for words in ("42 sizes", "20x90 to", "64x64 pixels (--size chooses another)", "1 smaller ones are left out"):
        assert words in told
    given = gather(tmp_path / "r", {"g": tmp_path / "g"}, size=80)
    assert (given.width, given.refused) == (80, [])


@pytest.mark.parametrize(("bits", "told"), [(12, True), (16, False)])
def test_12_bits_in_files_of_16_are_told_as_nearly_black(tmp_path: Path, folders, bits: int, told: bool) -> None:
    (tmp_path / "g").mkdir()
    for k in range(20):
        values = np.random.default_rng(k).integers(0, 2**bits, (8, 8), dtype=np.uint16)
        Image.fromarray(values).save(tmp_path / "g" / f"{k}.png")
    found = gather(folders.real, {"g": tmp_path / "g"}).warnings
    assert any("16-bit pictures of g have no value above 40" in one for one in found) == told


def test_a_folder_inside_the_other_kinds_is_refused(tmp_path: Path) -> None:
    for k in range(3):
        noise(tmp_path / "photos" / f"{k}.png", 8, 8, k)
        noise(tmp_path / "photos" / "gen" / f"{k}.png", 8, 8, 10 + k)
    (tmp_path / "link").symlink_to(tmp_path / "photos" / "gen")
    for real, generated in (("photos", "photos/gen"), ("photos/gen", "photos"), ("photos", "link")):
        with pytest.raises(TuringTestError, match=r"lies inside .* real and of g at once: give each kind a folder"):
            gather(tmp_path / real, {"g": tmp_path / generated})


def test_the_same_picture_in_both_kinds_is_refused_and_twice_in_one_told(tmp_path: Path, folders) -> None:
    for k in range(20):
        noise(tmp_path / "g" / f"{k}.png", 8, 8, 50 + k)
    noise(tmp_path / "g" / "again.png", 8, 8, 50)
    (warning,) = gather(folders.real, {"g": tmp_path / "g"}).warnings
    assert "1 pictures of g are copies of others" in warning
    assert "again.png" in warning
    for k in range(20):
        noise(tmp_path / "h" / f"{k}.png", 8, 8, 70 + k)
    noise(tmp_path / "h" / "shared.png", 8, 8, 55)
    warning = gather(folders.real, {"g": tmp_path / "g", "h": tmp_path / "h"}).warnings[1]
    assert "1 pictures of h are pictures of g too" in warning
    assert "shared.png" in warning
    Image.open(folders.real / "real-3.png").save(tmp_path / "g" / "leaked.bmp")  # other bytes, the same pixels
    with pytest.raises(
        TuringTestError, match=r"1 pictures are real and of g at once, as .*real-3.png and .*leaked.bmp"
    ):
        gather(folders.real, {"g": tmp_path / "g"})


@pytest.mark.parametrize("with_real", [True, False])
@pytest.mark.parametrize("other", ["all", "all/best", "link"])
def test_the_same_files_of_two_models_are_told_unless_one_is_the_share_of_the_best(
    tmp_path: Path, folders, other: str, with_real: bool
) -> None:
    for k in range(20):
        noise(tmp_path / "all" / "best" / f"{k}.png", 8, 8, k)
    (tmp_path / "link").symlink_to(tmp_path / "all")
    real, models = folders.real if with_real else None, {"x": tmp_path / "all", "y": tmp_path / other}
    (warning,) = gather(real, models).warnings
    assert "20 pictures of y are pictures of x too" in warning
    (tmp_path / "s.json").write_text(json.dumps({f"{k}.png": float(k) for k in range(20)}))
    assert not [
        one
        for one in gather(real, models, scores={"y": tmp_path / "s.json"}, top={"y": 0.5}).warnings
        if "pictures of y are pictures of x" in one
    ]


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

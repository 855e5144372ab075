import json
import weakref
from pathlib import Path

import pytest
from PIL import Image

from improved_gan.turing_test import collection
from improved_gan.turing_test.collection import collect
from improved_gan.turing_test.errors import TuringTestError


def gather(real: Path, generated: dict[str, Path], **more):
    words = {"most": 500, "size": None, "scores": {}, "top": {}, "checks": 2, "seed": 0, **more}
    return collect(real, generated, **words)


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
        Image.new("L", (16, 16), k).save(tmp_path / "g" / f"{k}.jpg")
    with pytest.raises(TuringTestError, match=r"2 sizes.*--size PIXELS"):
        gather(folders.real, {"g": tmp_path / "g"})
    warnings = " ".join(gather(folders.real, {"g": tmp_path / "g"}, size=8).warnings)
    for words in ("JPEG", "grey", "scaled to size"):
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


def test_without_a_size_a_photograph_is_refused_at_once(tmp_path: Path, folders) -> None:
    (tmp_path / "g").mkdir()
    Image.new("RGB", (1025, 8)).save(tmp_path / "g" / "wide.png")
    with pytest.raises(TuringTestError, match=r"wide.png has 1025x8 pixels: use --size with 4 to 1024"):
        gather(folders.real, {"g": tmp_path / "g"})

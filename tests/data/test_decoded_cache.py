import json
import shutil
import threading
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from improved_gan.data import DataError, decoded_cache
from improved_gan.data.decoded_cache import Decoded, decode_images, decode_rows
from improved_gan.data.image_index import ImageIndex, index_images
from improved_gan.data.image_sources import open_images
from improved_gan.data.value_range import ValueRange
from tests.pictures import folder_of, picture, png
from tests.tiffs import tiff


def test_every_image_in_order_with_any_number_of_workers_and_from_any_row(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 80)
    (folder / "0000-no-image.png").write_text("left out by the scan")
    scan = index_images(open_images(folder), workers=1)
    expected = [
        # the central square of 10 x 12 pixels is its middle ten rows
        np.asarray(picture(seed).crop((0, 1, 10, 11)).resize((8, 8), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
        for seed in range(80)
    ]
    for workers, first in ((1, 0), (3, 0), (2, 37)):
        found = list(decode_rows(scan, (3, 8, 8), workers=workers, first=first))
        assert len(found) == 80 - first
        for image, wanted in zip(found, expected[first:], strict=True):
            np.testing.assert_array_equal(image.numpy(), wanted)


def test_a_file_cut_short_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 3)
    (folder / "001.png").write_bytes(png(picture(1, (60, 60)))[:2000])
    found = list(decode_rows(index_images(open_images(folder), workers=1), (3, 8, 8), workers=2))
    assert isinstance(found[1], str)
    assert found[1].startswith("cannot be read: ")
    assert found[0].shape == found[2].shape == (3, 8, 8)


def test_files_that_change_or_vanish_after_the_scan_are_an_error(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 3)
    scan = index_images(open_images(folder), workers=1)
    (folder / "001.png").write_bytes(png(picture(9)))
    with pytest.raises(DataError, match=r"001.png has changed while the images were read: run"):
        list(decode_rows(scan, (3, 8, 8), workers=2))
    (folder / "001.png").unlink()
    with pytest.raises(DataError, match=r"001.png can no longer be read"):
        list(decode_rows(scan, (3, 8, 8), workers=2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seventy images, one of which cannot be decoded, and one that is no image at all."""
    folder = folder_of(tmp_path / "images", 70)
    (folder / "020.png").write_bytes(png(picture(1, (60, 60)))[:2000])
    (folder / "zz.png").write_text("no image")
    return folder


def scan(folder: Path) -> ImageIndex:
    return index_images(open_images(folder), workers=1)


def decode(folder: Path, cache: Path, *, small: int = 0) -> Decoded:
    return decode_images(scan(folder), channels=3, size=8, folder=cache, workers=2, small=small)


def test_the_file_holds_what_memory_would_and_is_made_once(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    memory = decode(folder, cache, small=10**6)
    assert (memory.file, cache.exists()) == (None, False)
    first, again = decode(folder, cache), decode(folder, cache)
    assert (first.made, again.made) == (70, 0)
    for one in (first, again):
        assert torch.equal(one.images, memory.images)
        assert one.images.shape == (69, 3, 8, 8)
        assert list(one.bad) == list(memory.bad) == [20]
        assert one.file is not None
    np.testing.assert_array_equal(np.fromfile(first.file, np.uint8), memory.images.numpy().reshape(-1))
    assert not list(cache.glob("*.part*"))


def test_renamed_images_cost_nothing_and_changed_ones_are_decoded_anew(folder: Path, tmp_path: Path) -> None:
    decode(folder, tmp_path / "cache")
    (folder / "069.png").rename(folder / "069b.png")
    assert decode(folder.rename(tmp_path / "elsewhere"), tmp_path / "cache").made == 0
    (tmp_path / "elsewhere" / "005.png").write_bytes(png(picture(99)))
    changed = decode(tmp_path / "elsewhere", tmp_path / "cache")
    assert changed.made == 70


class StopError(Exception):
    """Stands for Ctrl-C or a kill."""


def test_a_stop_goes_on_where_it_was(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decode(folder, tmp_path / "whole")
    rows = decoded_cache.decode_rows

    def stops(*arguments, first, **more):
        for number, row in enumerate(rows(*arguments, first=first, **more)):
            if number == 40:
                raise StopError
            yield row

    monkeypatch.setattr(decoded_cache, "decode_rows", stops)
    with pytest.raises(StopError):
        decode(folder, tmp_path / "cache")
    monkeypatch.setattr(decoded_cache, "decode_rows", rows)
    rest = decode(folder, tmp_path / "cache")
    assert rest.made == 30
    assert torch.equal(rest.images, whole.images)
    assert rest.bad == whole.bad


@pytest.mark.parametrize("damage", ["no note", "cut note", "short part", "whole file without a note", "cut file"])
def test_leftovers_of_any_kind_never_spoil_the_result(folder: Path, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    whole = decode(folder, cache)
    file = whole.file
    assert file is not None
    content, note = file.read_bytes(), json.loads(file.with_suffix(".json").read_text())
    if damage == "cut file":
        file.write_bytes(content[:-1])
    else:
        file.with_suffix(".json").unlink()
        if damage != "whole file without a note":
            file.unlink()
            file.with_suffix(".part").write_bytes(content[:1000])
        state = json.dumps({"rows": 60, "kept": 59, "bad": note["bad"]})
        if damage == "cut note":
            file.with_suffix(".part.json").write_text(state[:20])
        if damage == "short part":
            file.with_suffix(".part.json").write_text(state)
    again = decode(folder, cache)
    assert again.made == 70
    assert again.images.numpy().tobytes() == content
    assert again.bad == whole.bad


def test_another_process_is_waited_for(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = decode(folder, tmp_path / "cache").file
    assert file is not None
    hidden = file.rename(tmp_path / "hidden")
    with FileLock(file.with_suffix(".lock")) as lock:
        found = []
        thread = threading.Thread(target=lambda: found.append(decode(folder, tmp_path / "cache")))
        thread.start()
        while "waiting for another process" not in capsys.readouterr().err:
            time.sleep(0.01)
        hidden.rename(file)  # the other one has finished
        lock.release()
        thread.join()
    assert found[0].made == 0


def test_no_room_and_no_rights_are_told_before_anything_is_decoded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000, 900, 100))
    with pytest.raises(DataError, match=r"0\.0 GiB free: name another folder \(--cache-dir DIR\)"):
        decode(folder, tmp_path / "cache")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot make .*--cache-dir DIR"):
        decode(folder, tmp_path / "file" / "cache")


def test_another_value_range_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    numbers = np.random.default_rng(0).integers(0, 4096, (3, 12, 12)).astype(np.uint16)
    for place, image in enumerate(numbers):
        (tmp_path / "deep" / f"{place}.tif").write_bytes(tiff(image))
    cache, files = tmp_path / "cache", set()
    for values in (None, ValueRange(0, 4095), ValueRange(0, 4095.5), None):
        found = decode_images(
            scan(tmp_path / "deep"), channels=1, size=12, folder=cache, workers=2, small=0, values=values
        )
        white = 65535 if values is None else values.high
        expected = np.rint(255 * numbers.astype(float) / white).clip(0, 255)
        np.testing.assert_array_equal(found.images[:, 0].numpy(), expected)
        files.add(found.file)
    assert len(files) == 3

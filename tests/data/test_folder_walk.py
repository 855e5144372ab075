import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from improved_gan.data import DataError
from improved_gan.data.folder_walk import walk
from improved_gan.data.left_out import LeftOut


def test_files_and_dead_links_but_no_pipes_and_no_leftovers(tmp_path: Path) -> None:
    (tmp_path / "a" / ".hidden").mkdir(parents=True)
    (tmp_path / "a" / ".hidden" / "1.png").touch()
    (tmp_path / "a" / "1.png").touch()
    (tmp_path / "dead.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    left_out = LeftOut()
    assert sorted(walk(tmp_path, left_out)) == [tmp_path / "a" / "1.png", tmp_path / "dead.png"]
    assert left_out.lines()[0] == ("left out: 1 folder hidden or left by programs (.hidden); 1 pipe or device")


def test_a_folder_that_cannot_be_opened_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path: str) -> object:  # rights do not stop the superuser
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=r"the folder .*closed cannot be opened \(Permission denied\): give the right"):
        list(walk(tmp_path, LeftOut()))


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    """1,200 folders in each other, the last hundred with long names; pytest could not remove them."""
    names = ["d"] * 1100 + ["e" * 50] * 100
    before = os.open(".", os.O_RDONLY)
    os.chdir(tmp_path)
    for name in names:
        os.mkdir(name)  # noqa: PTH102  (by steps: no path can name the last ones)
        os.chdir(name)
    os.fchdir(before)
    yield tmp_path
    os.chdir(tmp_path)
    for name in names:
        os.chdir(name)
    for name in reversed(names):
        os.chdir("..")
        for file in Path().glob("*.png"):
            file.unlink()
        os.rmdir(name)  # noqa: PTH106
    os.fchdir(before)
    os.close(before)


def test_a_thousand_levels_and_more_than_a_path_can_name(deep_folder: Path) -> None:
    Path(f"{deep_folder}{1000 * '/d'}/deep.png").touch()
    files = walk(deep_folder, LeftOut())
    assert next(files) == Path(f"{deep_folder}{1000 * '/d'}/deep.png")
    with pytest.raises(DataError, match=r"the folder .{200} \.\.\. cannot be opened \(File name too long\): give the"):
        list(files)

import threading
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from improved_gan.data import DataError
from improved_gan.labelling.reading import ImageList, in_order


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images" / "b").mkdir(parents=True)
    for name in ("z.png", "b/y.png", "a,\"'.png"):
        Image.new("L", (2, 2)).save(tmp_path / "images" / name)
    return tmp_path / "images"


def test_folders_archives_and_files_in_order(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for name in ("2.png", "1.png"):
            archive.write(folder / "z.png", name)
    images = ImageList([folder, tmp_path / "some.zip", folder / "z.png"])
    names = [f"{folder}/a,\"'.png", f"{folder}/b/y.png", f"{folder}/z.png", f"{tmp_path}/some.zip/1.png",
             f"{tmp_path}/some.zip/2.png", f"{folder}/z.png"]  # fmt: skip
    assert list(images.files()) == names
    assert len(images) == 6
    streamed = [(name, read()) for name, read in images.stream()]
    assert [name for name, _ in streamed] == names
    assert {content for _, content in streamed} == {(folder / "z.png").read_bytes()}
    assert images.within(names[0]) == names[0]
    assert [ImageList([folder]).within(name) for name in names[:2]] == ["a,\"'.png", "b/y.png"]
    monkeypatch.chdir(folder)
    assert list(ImageList([Path()]).files()) == ["a,\"'.png", "b/y.png", "z.png"]


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file or folder"):
        ImageList([tmp_path / "nothing"])
    with pytest.raises(DataError, match="holds no images"):
        ImageList([tmp_path])


def test_several_threads_work_a_little_ahead_and_results_keep_their_order() -> None:
    together, taken = threading.Barrier(2, timeout=20), 0

    def items():
        nonlocal taken
        for number in range(1000):
            taken = number
            yield number

    def work(some: list[int]) -> list[int]:
        if some[0] < 16:
            together.wait()  # only two threads at once come past here
        return some

    stream = in_order(items(), work, workers=2)
    assert next(stream) == list(range(8))
    assert taken < 60
    assert [one for some in stream for one in some] == list(range(8, 1000))


def test_an_error_of_the_work_ends_it() -> None:
    def work(some: list[int]) -> int:
        raise KeyError(some[0])

    with pytest.raises(KeyError):
        list(in_order(range(100), work, workers=3))
